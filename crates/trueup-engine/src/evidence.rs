//! What a change is about to overwrite, masked: a forced apply erases who wrote it, so it is kept first (detection.md 6).

use trueup_diff::{Masked, Secrecy};
use trueup_merge::{Layered, TypeRef};

use crate::difference::Difference;
use crate::live::Live;

/// An object as it was before a change, and what the change is to correct.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The live object, managedFields included.
    pub live: Masked,
    pub differences: Vec<Difference>,
}

/// Takes the evidence of one object.
pub fn evidence<'k>(
    live: &Live,
    differences: &[Difference],
    schemas: Layered<'_>,
    secrecy: impl Into<Secrecy<'k>>,
) -> Evidence {
    let ty = match schemas.lookup(&live.gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    };
    let live = trueup_diff::mask([&*live.object], ty, secrecy).pop();
    Evidence { live: live.expect("one object has one mask"), differences: differences.to_vec() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use trueup_merge::SchemaSet;
    use trueup_object::Value;

    use super::*;

    #[test]
    fn evidence_of_a_secret_shows_who_and_not_what() {
        let live = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","namespace":"web","uid":"u",
            "resourceVersion":"1","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{aHVudGVyMg==}"},
            "managedFields":[{"manager":"kubectl-edit","operation":"Update"}]},"data":{"password":"aHVudGVyMg=="}}"#;
        let live = Live::of(Value::from_json(live).unwrap()).unwrap();
        let evidence = evidence(&live, &[], SchemaSet::new().over(SchemaSet::builtin()), &[7; 32]);
        let shown = evidence.live.as_value().to_json();
        assert!(shown.contains("kubectl-edit") && !shown.contains("aHVudGVyMg"), "{shown}");
    }
}
