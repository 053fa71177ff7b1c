//! Tokens of service accounts: issued, recognised, and reviewed.

use std::time::Duration;

use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Value};

use super::credentials::{Account, AccountToken, Bound, User};
use super::serve::{AUTHENTICATED, Front, account_groups};
use crate::api::Target;
use crate::audit::Trail;
use crate::clock::wire_time;
use crate::kind::KindInfo;
use crate::state::{Name, ResourceId};
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// How long a token holds where nobody says, and the least that may be asked for.
const TOKEN_SECONDS: i64 = 3600;
const TOKEN_SECONDS_MIN: i64 = 600;

/// Whom tokens are for where nobody says, and who issues them: the API server's usual name for itself.
const AUDIENCE: &str = "https://kubernetes.default.svc";

impl Front {
    /// A token for a service account, that authenticates for as long as it is asked for.
    pub(super) fn issue_token(
        &self,
        target: Target<'_>,
        request: &Value,
        trail: &Trail,
    ) -> Result<Value, ApiStatus> {
        let seconds = request.int_at(&["spec", "expirationSeconds"]).unwrap_or(TOKEN_SECONDS);
        if seconds < TOKEN_SECONDS_MIN {
            return Err(too_short(&target.served.kind, seconds));
        }
        let account = self.api.get(Target { subresource: None, ..target })?;
        let uid = account.str_at(&["metadata", "uid"]).unwrap_or_default();
        let bound = self.bound(target.namespace, request)?;
        let now = self.api.clock().now();
        let ends = now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap_or(now);
        let given = request.list_at(&["spec", "audiences"]).iter().filter_map(Value::as_str);
        let mut audiences: Vec<Text> = given.map(Text::from).collect();
        if audiences.is_empty() {
            audiences.push(AUDIENCE.into());
        }
        let bearer = AccountToken {
            account: Account {
                namespace: target.namespace.into(),
                name: target.name.unwrap_or_default().into(),
                uid: uid.into(),
            },
            audiences: audiences.clone(),
            id: self.api.ids().uid(),
            bound,
        };
        let token = self.credentials.account_token(&bearer, now.as_second(), ends.as_second());
        trail.annotate("authentication.kubernetes.io/issued-credential-id", &format!("JTI={}", bearer.id));
        let mut answer = request.clone();
        answer.set_at(&["apiVersion"], "authentication.k8s.io/v1".into());
        answer.set_at(&["kind"], "TokenRequest".into());
        for (field, text) in [
            ("name", bearer.account.name.clone()),
            ("namespace", bearer.account.namespace.clone()),
            ("uid", bearer.account.uid.clone()),
            ("creationTimestamp", wire_time(now)),
        ] {
            answer.set_at(&["metadata", field], text.into());
        }
        let audiences = audiences.into_iter().map(Value::from).collect();
        answer.set_at(&["spec", "audiences"], Value::List(audiences));
        answer.set_at(&["spec", "expirationSeconds"], seconds.into());
        if answer.at(&["spec", "boundObjectRef"]).is_none() {
            answer.set_at(&["spec", "boundObjectRef"], Value::Null);
        }
        answer.set_at(&["status", "expirationTimestamp"], wire_time(ends).into());
        answer.set_at(&["status", "token"], token.into());
        Ok(answer)
    }

    /// The object that a token is to hold no longer than.
    fn bound(&self, namespace: &str, request: &Value) -> Result<Option<Bound>, ApiStatus> {
        let Some(reference) = request.at(&["spec", "boundObjectRef"]).filter(|it| !it.is_null()) else {
            return Ok(None);
        };
        let text = |key: &str| reference.str_at(&[key]).unwrap_or_default();
        let (kind, name) = (text("kind"), text("name"));
        let Some(plural) = plural_of(kind).filter(|_| text("apiVersion") == "v1") else {
            let api_version = text("apiVersion");
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let what = if group.is_empty() { format!("/{version}") } else { format!("{group}/{version}") };
            return Err(ApiStatus::bad_request(format!(
                "cannot bind token for serviceaccount to type {what}, Kind={kind}"
            )));
        };
        let place = if kind == "Node" { "" } else { namespace };
        let stored = self.api.store().get(&ResourceId::new("", plural), &Name::new(place, name));
        let Some(stored) = stored else {
            let mut status =
                ApiStatus::new(404, StatusReason::NotFound, format!("{plural} {name:?} not found"));
            status.details.name = name.into();
            status.details.kind = plural.into();
            return Err(status);
        };
        let uid = stored.str_at(&["metadata", "uid"]).unwrap_or_default();
        let wanted = text("uid");
        if !wanted.is_empty() && wanted != uid {
            let message = format!(
                "Operation cannot be fulfilled on {kind} {name:?}: the UID in the bound object reference ({wanted}) does not \
                 match the UID in record. The object might have been deleted and then recreated"
            );
            let mut status = ApiStatus::new(409, StatusReason::Conflict, message);
            status.details.name = name.into();
            status.details.kind = kind.into();
            return Err(status);
        }
        let node = stored.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty() && kind == "Pod");
        let node = node.map(|node| {
            let known = self.api.store().get(&ResourceId::new("", "nodes"), &Name::new("", node));
            let uid = known.as_deref().and_then(|it| it.str_at(&["metadata", "uid"])).unwrap_or_default();
            (Text::from(node), Text::from(uid))
        });
        Ok(Some(Bound { kind: kind.into(), name: name.into(), uid: uid.into(), node }))
    }

    /// Who holds a token: one of the sandbox's users, or a service account that still is the one it was issued to.
    pub(super) fn user_of_token(&self, token: &str) -> Option<User> {
        if let Some(user) = self.credentials.user_of_token(token) {
            return Some(user.clone());
        }
        let bearer = self.holder(token)?;
        bearer.audiences.iter().any(|audience| audience == AUDIENCE).then(|| user_of(&bearer))
    }

    /// The service account of a token that holds, whomever it is for.
    fn holder(&self, token: &str) -> Option<AccountToken> {
        let bearer = self.credentials.account_of_token(token, self.api.clock().now().as_second())?;
        let is_there = |plural: &str, namespace: &str, name: &str, uid: &str| {
            let stored = self.api.store().get(&ResourceId::new("", plural), &Name::new(namespace, name));
            stored.is_some_and(|stored| stored.str_at(&["metadata", "uid"]) == Some(uid))
        };
        let Account { namespace, name, uid } = &bearer.account;
        let holds = is_there("serviceaccounts", namespace, name, uid)
            && bearer.bound.as_ref().is_none_or(|bound| {
                let place = if bound.kind == "Node" { "" } else { namespace };
                plural_of(&bound.kind).is_some_and(|plural| is_there(plural, place, &bound.name, &bound.uid))
            });
        holds.then_some(bearer)
    }

    /// Says whose a token is.
    pub(super) fn review_token(&self, mut review: Value) -> Value {
        let token = review.str_at(&["spec", "token"]).unwrap_or_default();
        let wanted: Vec<&str> =
            review.list_at(&["spec", "audiences"]).iter().filter_map(Value::as_str).collect();
        let target = if wanted.is_empty() { vec![AUDIENCE] } else { wanted };
        let (user, audiences, error) = match (self.credentials.user_of_token(token), self.holder(token)) {
            // Who is no service account is known whatever the audience.
            (Some(user), _) => (Some(user.clone()), target, String::new()),
            (None, Some(bearer)) => {
                let common = |audience: &&str| bearer.audiences.iter().any(|own| own == audience);
                let common: Vec<&str> = target.iter().copied().filter(|it| common(it)).collect();
                if common.is_empty() {
                    let own: Vec<&str> = bearer.audiences.iter().map(Text::as_str).collect();
                    let error = format!(
                        "[invalid bearer token, token audiences {own:?} is invalid for the target audiences {target:?}]"
                    );
                    (None, Vec::new(), error.replace("\", \"", "\" \""))
                } else {
                    (Some(user_of(&bearer)), common, String::new())
                }
            }
            (None, None) => (None, Vec::new(), "invalid bearer token".to_owned()),
        };
        let mut status = Map::new();
        match user {
            Some(user) => {
                status.insert("authenticated", true.into());
                status.insert("user", user.to_value());
                status.insert("audiences", Value::List(audiences.into_iter().map(Value::from).collect()));
            }
            None => {
                status.insert("user", Value::Map(Map::new()));
                status.insert("error", error.into());
            }
        }
        review.set_at(&["status"], Value::Map(status));
        review
    }
}

/// What a token may be bound to.
fn plural_of(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some("pods"),
        "Secret" => Some("secrets"),
        "Node" => Some("nodes"),
        _ => None,
    }
}

fn user_of(bearer: &AccountToken) -> User {
    let Account { namespace, name, uid } = &bearer.account;
    let mut groups: Vec<Text> = account_groups(namespace).into();
    groups.push(AUTHENTICATED.into());
    let mut extra = vec![("credential-id", Text::from(format!("JTI={}", bearer.id)))];
    if let Some(bound) = &bearer.bound {
        match bound.kind.as_str() {
            "Pod" => extra.extend([("pod-name", bound.name.clone()), ("pod-uid", bound.uid.clone())]),
            "Node" => extra.extend([("node-name", bound.name.clone()), ("node-uid", bound.uid.clone())]),
            _ => {}
        }
        if let Some((node, uid)) = &bound.node {
            extra.extend([("node-name", node.clone()), ("node-uid", uid.clone())]);
        }
    }
    let extra = extra
        .into_iter()
        .map(|(key, value)| (format!("authentication.kubernetes.io/{key}").into(), vec![value]));
    User {
        name: format!("system:serviceaccount:{namespace}:{name}").into(),
        uid: uid.clone(),
        groups,
        extra: extra.collect(),
    }
}

fn too_short(kind: &KindInfo, seconds: i64) -> ApiStatus {
    let detail = "may not specify a duration less than 10 minutes";
    let cause = StatusCause::invalid("spec.expirationSeconds", &Value::Int(seconds), detail);
    let kind = KindInfo { gvk: Gvk::new("authentication.k8s.io", "", "TokenRequest"), ..kind.clone() };
    let mut status = ApiStatus::invalid(&kind, "", vec![cause]);
    status.details.group = "authentication.k8s.io".into();
    status
}
