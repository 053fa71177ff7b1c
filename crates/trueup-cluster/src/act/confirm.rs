//! Asking what an apply would change: a forced apply with our manager, without effect, pinned to the object that was
//! compared.

use trueup_engine::confirm::{Answer, Question};
use trueup_object::Value;

use super::quoted::without_values;
use super::{Hand, Place, Refusal, apply_own};
use crate::discover::ServedKind;
use crate::wire::Wire;

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Answered(Answer),
    /// The object is not the one that was compared any more: the question is about nothing.
    Overtaken,
}

/// Asks. `live` is what was compared; a refusal quotes no sensitive value of it.
pub async fn confirm(wire: &Wire, kind: &ServedKind, question: &Question, live: Option<&Value>) -> Asked {
    let Question { object: key, body, version, gvk: _, key: _ } = question;
    let place = Place { kind, namespace: &key.namespace, name: &key.name };
    // Pinned to the object and not to its version: a status that is written meanwhile makes no difference to the answer, and
    // any other change asks anew. An object of the same name that came since is refused.
    let mut body = body.clone();
    for bookkeeping in ["managedFields", "creationTimestamp", "generation", "resourceVersion"] {
        body.remove_at(&["metadata", bookkeeping]);
    }
    body.set_at(&["metadata", "uid"], version.uid.clone().into());
    match apply_own(wire, place, &body, &Hand::dry_run()).await {
        Ok(accepted) => Asked::Answered(Answer::Leaves(accepted.object)),
        Err(refusal) => refused(without_values(refusal, key, std::iter::once(&body).chain(live))),
    }
}

fn refused(refusal: Refusal) -> Asked {
    let why = format!("failed to {refusal}");
    let remedy = match &refusal {
        Refusal::PreconditionFailed { .. } | Refusal::Conflict { .. } => return Asked::Overtaken,
        Refusal::Invalid { .. } | Refusal::Denied { .. } | Refusal::Rejected { .. } => {
            return Asked::Answered(Answer::Refused { message: says(refusal) });
        }
        Refusal::Forbidden { message } if !is_about_rights(message) => {
            return Asked::Answered(Answer::Refused { message: says(refusal) });
        }
        Refusal::Forbidden { .. } => {
            "grant the account that compares the right to patch this kind, or set trueup.dev/confirm: never"
        }
        Refusal::Unauthorized { .. } => "renew the credentials of the account that compares",
        Refusal::NotFound { .. } => {
            "see that the definition of its kind is there; it is asked again by itself"
        }
        // A webhook that does not answer and must: an apply would be refused in the same words.
        Refusal::Server { message, .. } if message.contains("failed calling webhook") => {
            return Asked::Answered(Answer::Refused { message: says(refusal) });
        }
        Refusal::Busy { .. }
        | Refusal::Unreachable { .. }
        | Refusal::AnswerUnknown { .. }
        | Refusal::Server { .. } => return Asked::Answered(Answer::Unanswered { message: why }),
    };
    Asked::Answered(Answer::Unavailable { message: why, remedy: remedy.to_owned() })
}

/// The server's own words.
fn says(refusal: Refusal) -> String {
    match refusal {
        Refusal::Conflict { message, .. }
        | Refusal::PreconditionFailed { message }
        | Refusal::Invalid { message, .. }
        | Refusal::Denied { message, .. }
        | Refusal::Forbidden { message }
        | Refusal::Unauthorized { message }
        | Refusal::NotFound { message }
        | Refusal::Busy { message, .. }
        | Refusal::Unreachable { message }
        | Refusal::AnswerUnknown { message }
        | Refusal::Server { message, .. }
        | Refusal::Rejected { message, .. } => message,
    }
}

/// `deployments.apps "web" is forbidden: User "x" cannot patch resource ...`: the account may not. Any other 403 is
/// admission's: quotas, pod security, policies.
fn is_about_rights(message: &str) -> bool {
    message.contains("User \"") && message.contains("\" cannot ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_admission_refuses_is_told_from_what_the_account_may_not() {
        let forbidden = |message: &str| refused(Refusal::Forbidden { message: message.to_owned() });
        let rights = "deployments.apps \"web\" is forbidden: User \"ci\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"a\"";
        assert!(matches!(forbidden(rights), Asked::Answered(Answer::Unavailable { .. })));
        let policy = "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces";
        assert!(
            matches!(forbidden(policy), Asked::Answered(Answer::Refused { message }) if message == policy)
        );
    }

    #[test]
    fn a_server_that_fails_has_not_refused() {
        let failed = refused(Refusal::Server { code: 500, message: "etcd".to_owned() });
        assert!(matches!(failed, Asked::Answered(Answer::Unanswered { .. })));
        let moved = refused(Refusal::PreconditionFailed { message: "modified".to_owned() });
        assert_eq!(moved, Asked::Overtaken);
    }
}
