//! Secrets with the token of a service account: filled for an account that is there, taken away with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Timestamp, Value};

use super::objects::{SECRETS, Step, annotation, is_deleting, text};
use crate::http::credentials::{Account, AccountToken, Bound, Credentials};

const KIND: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// Whom such tokens are for: the API server's usual name for itself.
const AUDIENCE: &str = "https://kubernetes.default.svc";

/// The name of the account whose token a secret holds or is to hold.
pub fn account_of(secret: &Value) -> Option<&str> {
    let is_token = secret.str_at(&["type"]) == Some(KIND) && !is_deleting(secret);
    Some(annotation(secret, ACCOUNT)).filter(|name| is_token && !name.is_empty())
}

pub fn reconcile(
    secret: &Value,
    account: Option<&Value>,
    credentials: &Credentials,
    now: Timestamp,
) -> Option<Step> {
    let name = account_of(secret)?;
    let given = annotation(secret, UID);
    let Some(account) = account.filter(|account| given.is_empty() || text(account, "uid") == given) else {
        return Some(Step::delete(SECRETS, secret));
    };
    let mut filled = secret.clone();
    filled.set_at(&["metadata", "annotations", UID], text(account, "uid").into());
    let mut fill = |key: &str, value: &dyn Fn() -> String| {
        if secret.str_at(&["data", key]).is_none_or(str::is_empty) {
            filled.set_at(&["data", key], STANDARD.encode(value()).into());
        }
    };
    let namespace = text(secret, "namespace");
    fill("ca.crt", &|| credentials.authority_pem().to_owned());
    fill("namespace", &|| namespace.to_owned());
    fill("token", &|| {
        let bound = Bound {
            kind: "Secret".into(),
            name: text(secret, "name").into(),
            uid: text(secret, "uid").into(),
            node: None,
        };
        let bearer = AccountToken {
            account: Account {
                namespace: namespace.into(),
                name: name.into(),
                uid: text(account, "uid").into(),
            },
            audiences: vec![AUDIENCE.into()],
            id: text(secret, "uid").into(),
            bound: Some(bound),
        };
        // It holds for as long as the secret and the account do.
        credentials.account_token(&bearer, now.as_second(), i64::MAX)
    });
    (filled != *secret).then(|| Step::update(SECRETS, filled))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_and_goes_with_its_account() {
        let secret = br#"{"metadata":{"name":"t","namespace":"n","uid":"s","annotations":
            {"kubernetes.io/service-account.name":"robot"}},"type":"kubernetes.io/service-account-token"}"#;
        let secret = Value::from_json(secret).unwrap();
        let account =
            Value::from_json(br#"{"metadata":{"name":"robot","namespace":"n","uid":"a"}}"#).unwrap();
        let credentials = Credentials::of_seed(1);
        let now = Timestamp::UNIX_EPOCH;
        let step = reconcile(&secret, Some(&account), &credentials, now).unwrap();
        let Step::Update { object, .. } = step else { panic!("{step:?}") };
        let token = STANDARD.decode(object.str_at(&["data", "token"]).unwrap()).unwrap();
        let bearer = credentials.account_of_token(&String::from_utf8(token).unwrap(), 1).unwrap();
        assert_eq!((bearer.account.name.as_str(), bearer.account.uid.as_str()), ("robot", "a"));
        assert_eq!(reconcile(&object, Some(&account), &credentials, now), None);
        let gone = reconcile(&object, None, &credentials, now).unwrap();
        assert!(matches!(gone, Step::Delete { .. }));
        assert_eq!(reconcile(&account, None, &credentials, now), None);
    }
}
