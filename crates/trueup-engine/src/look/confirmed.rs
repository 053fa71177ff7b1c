//! What the server's answer about an object means for what comparing found in it.

use trueup_diff::{CompareInput, Finding, Foretold, Further, foretold, unforeseen};
use trueup_object::ResourceKey;

use super::{LookInput, ObjectComparison, ObjectProblem};
use crate::confirm::{Answer, ConfirmKey, ConfirmMode, Reply};
use crate::desired::Target;
use crate::difference::IgnoredBy;
use crate::live::Live;

/// How a finding that the server says is none is shown.
pub(super) const NOISE: &str = "confirmed by the server: applying changes nothing";

/// What the server's answer says of one finding.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bearing<'a> {
    /// It was not asked, or has not answered.
    None,
    Told {
        foretold: &'a Foretold,
        fresh: bool,
    },
    Refused(&'a str),
    Unanswered,
    Unavailable,
}

/// The answer about one object, made ready for its findings.
pub(super) struct Confirming<'a> {
    mode: ConfirmMode,
    key: Option<ConfirmKey>,
    reply: Option<Reply<'a>>,
    told: Vec<Foretold>,
}

impl<'a> Confirming<'a> {
    /// The key is made only where somebody asks for it: most objects agree.
    pub(super) fn new(input: &LookInput<'a>, key: &ResourceKey, target: &Target, live: &Live) -> Self {
        let mode = input.app.confirm.mode.or(input.settings.confirm).unwrap_or_default();
        let wanted = match mode {
            ConfirmMode::Never => None,
            ConfirmMode::Always => Some(ConfirmKey::new(target, live)),
            ConfirmMode::Differs => input.answers.contains_key(key).then(|| ConfirmKey::new(target, live)),
        };
        let reply = wanted.as_ref().and_then(|wanted| Reply::find(input.answers, key, wanted));
        Self { mode, key: wanted, reply, told: Vec::new() }
    }

    /// Looks up what the answer says of these findings.
    pub(super) fn take(&mut self, compared: &CompareInput<'_>, findings: &[Finding]) {
        if let Some(Answer::Leaves(predicted)) = self.reply.map(Reply::answer) {
            self.told = foretold(compared, findings, predicted);
        }
    }

    pub(super) fn bearing(&self, index: usize) -> Bearing<'_> {
        let Some(reply) = self.reply else { return Bearing::None };
        match reply.answer() {
            Answer::Leaves(_) => self
                .told
                .get(index)
                .map_or(Bearing::None, |foretold| Bearing::Told { foretold, fresh: reply.is_fresh() }),
            Answer::Refused { message } => Bearing::Refused(message),
            Answer::Unanswered { message: _ } => Bearing::Unanswered,
            Answer::Unavailable { message: _, remedy: _ } => Bearing::Unavailable,
        }
    }

    /// What the server would change although nothing differs. Only a fresh answer tells: an older one may be about what
    /// has changed since.
    pub(super) fn further(
        &self,
        input: &LookInput<'_>,
        compared: &CompareInput<'_>,
        findings: &[Finding],
    ) -> Vec<(Finding, Foretold)> {
        match (self.mode, self.reply) {
            (ConfirmMode::Always, Some(Reply::Fresh(Answer::Leaves(predicted)))) => {
                let further = if input.app.confirm.include_webhooks { Further::All } else { Further::Ours };
                unforeseen(compared, findings, predicted, further)
            }
            (ConfirmMode::Always | ConfirmMode::Differs | ConfirmMode::Never, _) => Vec::new(),
        }
    }

    /// Notes on the object what is still to be asked, and what the answer says of it as a whole. `counted`: something
    /// that Git declares differs and nothing excuses it.
    pub(super) fn settle(self, object: &mut ObjectComparison, target: &Target, live: &Live, counted: bool) {
        let wants = match self.mode {
            ConfirmMode::Never => false,
            ConfirmMode::Always => true,
            ConfirmMode::Differs => counted,
        };
        if !wants || live.is_deleting() {
            return;
        }
        let is_answered = matches!(self.reply, Some(Reply::Fresh(answer)) if is_answer(answer));
        if !is_answered {
            object.asks = Some(self.key.unwrap_or_else(|| ConfirmKey::new(target, live)));
        }
        match self.reply.map(Reply::answer) {
            Some(Answer::Refused { message }) => {
                object.unconfirmed = Some(format!("the server refuses what Git declares: {message}"));
            }
            Some(Answer::Unanswered { message }) => {
                object.unconfirmed = Some(format!("{message}; it is asked again by itself"));
            }
            Some(Answer::Unavailable { message, remedy }) => {
                object.problem = Some(ObjectProblem {
                    message: format!("the server could not be asked what applying would change: {message}"),
                    remedy: remedy.clone(),
                });
            }
            Some(Answer::Leaves(_)) | None => {}
        }
    }
}

/// Whether nothing is left to ask. When it is asked again, the shell decides.
fn is_answer(answer: &Answer) -> bool {
    match answer {
        Answer::Leaves(_) | Answer::Refused { .. } => true,
        Answer::Unanswered { .. } | Answer::Unavailable { .. } => false,
    }
}

/// Whether the server's answer takes a finding away. What Git dropped and somebody else owns too is removed by more than
/// an apply, so an apply's answer does not speak of it.
pub(super) fn is_noise(finding: &Finding, bearing: Bearing<'_>) -> bool {
    let removed_otherwise = finding.pending_removal && !(finding.ours && finding.owners.is_empty());
    match bearing {
        Bearing::Told { foretold, fresh: _ } => foretold.unchanged && !removed_otherwise,
        Bearing::None | Bearing::Refused(_) | Bearing::Unanswered | Bearing::Unavailable => false,
    }
}

/// What hides a finding that the server says is none.
pub(super) fn hidden_by_server() -> IgnoredBy {
    IgnoredBy { rule: NOISE.to_owned(), source: "dry run".to_owned() }
}
