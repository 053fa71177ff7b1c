//! How facts, evidence and identities are written: JSON with a version, times in microseconds, compressed bodies.
//!
//! Readers take older versions. A field that a newer writer added is passed over; a fact of a kind that this build
//! does not know cannot be there, since the schema's version grows with the kinds.

use std::io::Read;

use trueup_engine::app::AppKey;
use trueup_engine::difference::{Attribution, Difference, masked_value};
use trueup_engine::evidence::Evidence;
use trueup_object::{Map, ResourceKey, Text, Timestamp, Value};

use crate::error::LedgerError;
use crate::fact::{Corrected, Fact, IntendedAction, Seq, StoredEvidence};

/// The version of the bodies written by this build.
pub const BODY_VERSION: i64 = 1;

/// Room for an object of etcd's largest size (1.5 MiB) with its differences, several times over.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// A thousand paths with a reason.
pub const FACT_BYTES_MAX: usize = 256 << 10;

/// Fast, and a tenth of the size on repetitive objects.
const ZSTD_LEVEL: i32 = 1;

/// The part of a fact that is in no column of its own.
pub fn fact_to_json(fact: &Fact) -> String {
    let mut body = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key, value);
        }
    };
    let text = |text: &Option<Text>| text.clone().map(Value::Str);
    match fact {
        Fact::Observed { differences, message } => {
            put("differences", Some(Value::List(differences.iter().cloned().map(Value::Str).collect())));
            put("message", Some(message.as_str().into()));
        }
        Fact::Intended { action, reason, by_policy, corrects, revision, uid, resource_version } => {
            put("action", Some(action.as_str().into()));
            put("reason", Some(reason.as_str().into()));
            put("byPolicy", Some((*by_policy).into()));
            put("paths", Some(Value::List(corrects.iter().map(|it| or_null(it.path.as_deref())).collect())));
            let opponents = corrects.iter().map(|it| or_null(it.opponent.as_deref()));
            put("opponents", Some(Value::List(opponents.collect())));
            put("revision", text(revision));
            put("uid", text(uid));
            put("resourceVersion", text(resource_version));
        }
        Fact::Done { intent: _, uid, resource_version } => {
            put("uid", text(uid));
            put("resourceVersion", text(resource_version));
        }
        Fact::Refused { intent: _, reason } => put("reason", Some(reason.as_str().into())),
        Fact::Confirmed { intent: _, resource_version } => put("resourceVersion", text(resource_version)),
    }
    Value::Map(body).to_json()
}

/// Puts a fact together from its columns.
pub fn fact_from(kind: &str, intent: Option<i64>, body: &str) -> Result<Fact, LedgerError> {
    let body = parse(body.as_bytes())?;
    let text = |key: &str| body.str_at(&[key]).map(Text::from);
    let words = |key: &str| body.list_at(&[key]).iter().filter_map(Value::as_str);
    let string = |key: &str| body.str_at(&[key]).unwrap_or_default().to_owned();
    let intent = || intent.map(Seq::new).ok_or_else(|| unreadable("an outcome without its intent"));
    Ok(match kind {
        "observed" => Fact::Observed {
            differences: words("differences").map(Text::from).collect(),
            message: string("message"),
        },
        "intended" => Fact::Intended {
            action: IntendedAction::parse(&string("action"))
                .ok_or_else(|| unreadable(format!("an unknown action {:?}", string("action"))))?,
            reason: string("reason"),
            // What older builds wrote has neither.
            by_policy: body.at(&["byPolicy"]).and_then(Value::as_bool) == Some(true),
            corrects: corrected(body.list_at(&["paths"]), body.list_at(&["opponents"])),
            revision: text("revision"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
        },
        "done" => {
            Fact::Done { intent: intent()?, uid: text("uid"), resource_version: text("resourceVersion") }
        }
        "refused" => Fact::Refused { intent: intent()?, reason: string("reason") },
        "confirmed" => Fact::Confirmed { intent: intent()?, resource_version: text("resourceVersion") },
        other => return Err(unreadable(format!("an unknown kind of entry {other:?}"))),
    })
}

fn or_null(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn corrected(paths: &[Value], opponents: &[Value]) -> Vec<Corrected> {
    let opponents = opponents.iter().map(Some).chain(std::iter::repeat(None));
    let both = paths.iter().zip(opponents);
    let corrected = both.map(|(path, opponent)| Corrected {
        path: path.as_str().map(str::to_owned),
        opponent: opponent.and_then(Value::as_str).map(Text::from),
    });
    corrected.collect()
}

pub fn evidence_to_json(evidence: &Evidence) -> String {
    let Evidence { live, differences } = evidence;
    let mut body = Map::new();
    body.insert("version", BODY_VERSION.into());
    body.insert("live", live.as_value().clone());
    body.insert("differences", Value::List(differences.iter().map(difference_to_value).collect()));
    Value::Map(body).to_json()
}

/// What a difference was when it was acted on; what it means for the application is in the entries.
fn difference_to_value(difference: &Difference) -> Value {
    let Difference { id, key: _, gvk: _, channel, path, pointer, change, origin, target, live, base, .. } =
        difference;
    let Attribution { class, confidence, manager, operation, subresource, time } = &difference.attribution;
    let text = |text: &Option<Text>| text.clone().map_or(Value::Null, Value::Str);
    let moment = |time: &Option<Timestamp>| time.map_or(Value::Null, |time| time.to_string().into());
    let fields: [(&str, Value); 16] = [
        ("id", id.as_str().into()),
        ("channel", channel.as_str().into()),
        ("path", path.as_ref().map_or(Value::Null, |path| path.to_string().into())),
        ("pointer", pointer.clone().map_or(Value::Null, Value::from)),
        ("change", change.as_str().into()),
        ("origin", origin.as_str().into()),
        ("target", masked_value(target.as_ref())),
        ("live", masked_value(live.as_ref())),
        ("base", masked_value(base.as_ref())),
        ("class", class.as_str().into()),
        ("confidence", confidence.as_str().into()),
        ("manager", text(manager)),
        ("operation", operation.map_or(Value::Null, |operation| operation.as_str().into())),
        ("subresource", text(subresource)),
        ("time", moment(time)),
        ("firstSeen", moment(&difference.first_seen)),
    ];
    Value::Map(fields.into_iter().collect())
}

pub fn evidence_from(bytes: &[u8]) -> Result<StoredEvidence, LedgerError> {
    let mut body = parse(bytes)?;
    Ok(StoredEvidence {
        live: body.remove_at(&["live"]).unwrap_or_default(),
        differences: body.remove_at(&["differences"]).unwrap_or_default(),
    })
}

pub fn parse(bytes: &[u8]) -> Result<Value, LedgerError> {
    Value::from_json(bytes).map_err(unreadable)
}

pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, LedgerError> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL)
        .map_err(|error| LedgerError::Storage { detail: error.to_string() })
}

/// Undoes [`compress`], up to the size that anything written here can have.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>, LedgerError> {
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(unreadable)?;
    let mut content = Vec::new();
    decoder.take(BODY_BYTES_MAX as u64).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

pub fn check_size(what: &'static str, bytes: usize, limit: usize) -> Result<(), LedgerError> {
    if bytes > limit { Err(LedgerError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

pub fn time_to_micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub fn time_from(micros: i64) -> Result<Timestamp, LedgerError> {
    Timestamp::from_microsecond(micros).map_err(unreadable)
}

/// `namespace/name`; neither can hold a slash.
pub fn app_from(text: &str) -> Result<AppKey, LedgerError> {
    let (namespace, name) =
        text.split_once('/').ok_or_else(|| unreadable(format!("{text:?} names no application")))?;
    Ok(AppKey::new(namespace, name))
}

/// `group/kind/namespace/name`; no part can hold a slash.
pub fn key_from(text: &str) -> Result<ResourceKey, LedgerError> {
    let mut parts = text.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(group), Some(kind), Some(namespace), Some(name)) => {
            Ok(ResourceKey::new(group, kind, namespace, name))
        }
        _ => Err(unreadable(format!("{text:?} names no object"))),
    }
}

pub fn unreadable(detail: impl std::fmt::Display) -> LedgerError {
    LedgerError::Unreadable { detail: detail.to_string() }
}
