//! What an installation knows of the types of custom resources' fields, beyond what their definitions say
//! (`knownTypeFields`): amounts, durations and times in them are then equal by what they stand for.
//!
//! Only scalars are refined. What a definition says about lists and maps stays, since the server merges by it.

use trueup_object::{GroupKind, Text};

use super::arena::{Node, NodeId, Use, scalar};
use super::{Scalar, SchemaSet};

/// Types refer to themselves (`JSONSchemaProps`).
const DEPTH_MAX: usize = 16;

/// Why a known type says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownTypeError {
    #[error(
        "the type {0} is not known: write core/Quantity, meta/v1/Duration or a built-in type as core/v1/PodSpec"
    )]
    Type(Text),
    #[error("{kind} has no field {field}")]
    Field { kind: GroupKind, field: Text },
}

impl SchemaSet {
    /// Refines the type of a field of a kind, in every version that the set knows. `path` is dotted; lists on the way are
    /// walked. `type_name` is as Argo CD names it: `core/v1/PodSpec`, `core/Quantity`, `meta/v1/Duration`.
    pub fn set_known_type(
        &mut self,
        kind: &GroupKind,
        path: &str,
        type_name: &str,
    ) -> Result<(), KnownTypeError> {
        let known = self.known_type(type_name).ok_or_else(|| KnownTypeError::Type(type_name.into()))?;
        let roots: Vec<NodeId> = self
            .kinds
            .iter()
            .filter(|(gvk, _)| gvk.group_kind() == *kind)
            .map(|(_, known)| known.node)
            .collect();
        let names: Vec<&str> =
            path.trim_start_matches('.').split('.').map(|name| name.trim_end_matches("[]")).collect();
        let refined = roots.into_iter().filter(|root| self.refine_at(*root, &names, known)).count();
        if refined == 0 {
            return Err(KnownTypeError::Field { kind: kind.clone(), field: path.into() });
        }
        Ok(())
    }

    fn known_type(&mut self, name: &str) -> Option<Use> {
        match name {
            "core/Quantity" | "core/v1/Quantity" | "resource/Quantity" => Some(scalar(Scalar::Quantity)),
            "meta/v1/Duration" | "metav1/Duration" => Some(scalar(Scalar::Duration)),
            "meta/v1/Time" | "metav1/Time" => Some(scalar(Scalar::Time)),
            "core/v1/ResourceList" => {
                let element = scalar(Scalar::Quantity);
                Some(Use::plain(self.push(Node::Map { element, atomic: false })))
            }
            _ => {
                let (group, rest) = name.split_once('/')?;
                let full = format!("io.k8s.api.{group}.{}", rest.replace('/', "."));
                let builtin = Self::builtin();
                builtin.names.contains_key(full.as_str()).then(|| Use::plain(self.import(builtin, &full)))
            }
        }
    }

    /// Refines the field at the end of the names below a node; whether it is there.
    fn refine_at(&mut self, node: NodeId, names: &[&str], known: Use) -> bool {
        let Some((name, rest)) = names.split_first() else { return false };
        match self.node(node).clone() {
            Node::List { element, relation: _ } => self.refine_at(element.node, names, known),
            Node::Struct { mut fields, others, atomic } => {
                let Some(field) = fields.iter_mut().find(|field| field.name == *name) else { return false };
                if !rest.is_empty() {
                    return self.refine_at(field.ty.node, rest, known);
                }
                field.ty = self.refined(field.ty, known, 0);
                self.define(node, Node::Struct { fields, others, atomic });
                true
            }
            Node::Scalar(_) | Node::Map { .. } | Node::Any { .. } => false,
        }
    }

    /// A declared type with the scalars of a known one.
    fn refined(&mut self, declared: Use, known: Use, depth: usize) -> Use {
        if depth > DEPTH_MAX {
            return declared;
        }
        match (self.node(declared.node).clone(), self.node(known.node).clone()) {
            (Node::Scalar(_) | Node::Any { .. }, Node::Scalar(amount)) if is_amount(amount) => known,
            (Node::Struct { mut fields, others, atomic }, Node::Struct { fields: all, .. }) => {
                for field in &mut fields {
                    if let Some(same) = all.iter().find(|known| known.name == field.name) {
                        field.ty = self.refined(field.ty, same.ty, depth + 1);
                    }
                }
                self.define(declared.node, Node::Struct { fields, others, atomic });
                declared
            }
            (Node::Struct { mut fields, others, atomic }, Node::Map { element, .. }) => {
                for field in &mut fields {
                    field.ty = self.refined(field.ty, element, depth + 1);
                }
                self.define(declared.node, Node::Struct { fields, others, atomic });
                declared
            }
            (Node::Map { element, atomic }, Node::Map { element: known, .. }) => {
                let element = self.refined(element, known, depth + 1);
                self.define(declared.node, Node::Map { element, atomic });
                declared
            }
            (Node::List { relation, element }, Node::List { element: known, .. }) => {
                let element = self.refined(element, known, depth + 1);
                self.define(declared.node, Node::List { relation, element });
                declared
            }
            _ => declared,
        }
    }
}

fn is_amount(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::Quantity | Scalar::Duration | Scalar::Time | Scalar::MicroTime)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::{Gvk, Value};

    use super::*;
    use crate::schema::{ListKind, Shape};

    const CRD: &[u8] = b"{spec: {group: example.org, names: {kind: Rollout, plural: rollouts}, scope: Namespaced, versions: [
        {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
            wait: {type: string}, heap: {type: string},
            limits: {type: object, additionalProperties: {type: string}},
            pods: {type: array, items: {type: object, properties: {containers: {type: array, items: {type: object, properties: {
                name: {type: string},
                resources: {type: object, properties: {limits: {type: object, additionalProperties: {type: string}}}}}}}}}}}}}}}}]}}";

    fn set() -> SchemaSet {
        let mut set = SchemaSet::new();
        assert_eq!(set.add_crd(&Value::from_yaml(CRD).unwrap()), Vec::<String>::new());
        set
    }

    fn shape<'a>(set: &'a SchemaSet, path: &[&str]) -> Shape<'a> {
        let root = set.lookup(&Gvk::new("example.org", "v1", "Rollout")).unwrap();
        let step = |ty: crate::TypeRef<'a>, name: &&str| match *name {
            "[]" => ty.element(),
            name => ty.field(name).unwrap().ty,
        };
        path.iter().fold(root, step).shape()
    }

    #[test]
    fn known_types_refine_scalars_and_nothing_else() {
        let mut set = set();
        let kind = GroupKind::new("example.org", "Rollout");
        for (path, ty) in [
            ("spec.wait", "meta/v1/Duration"),
            ("spec.heap", "core/Quantity"),
            ("spec.limits", "core/v1/ResourceList"),
            ("spec.pods", "core/v1/PodSpec"),
        ] {
            let done = set.set_known_type(&kind, path, ty);
            assert_eq!(done, Ok(()), "{path}");
        }
        assert!(matches!(shape(&set, &["spec", "wait"]), Shape::Scalar(Scalar::Duration)));
        assert!(matches!(shape(&set, &["spec", "heap"]), Shape::Scalar(Scalar::Quantity)));
        assert!(matches!(shape(&set, &["spec", "limits", "cpu"]), Shape::Scalar(Scalar::Quantity)));
        assert_eq!(
            set.set_known_type(&kind, "spec.pods.containers.resources", "core/v1/ResourceRequirements"),
            Ok(())
        );
        let limit = ["spec", "pods", "[]", "containers", "[]", "resources", "limits", "cpu"];
        assert!(matches!(shape(&set, &limit), Shape::Scalar(Scalar::Quantity)));
        let list = shape(&set, &["spec", "pods", "[]", "containers"]);
        assert!(
            matches!(list, Shape::List { kind: ListKind::Atomic, .. }),
            "lists stay as the definition has them"
        );
    }

    #[test]
    fn what_says_nothing_is_told() {
        let kind = GroupKind::new("example.org", "Rollout");
        let unknown = set().set_known_type(&kind, "spec.wait", "core/v1/Nonsense");
        assert_eq!(unknown, Err(KnownTypeError::Type("core/v1/Nonsense".into())));
        let absent = set().set_known_type(&kind, "spec.none", "core/Quantity");
        assert_eq!(absent.unwrap_err().to_string(), "example.org/Rollout has no field spec.none");
    }
}
