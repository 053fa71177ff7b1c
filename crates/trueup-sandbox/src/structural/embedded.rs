//! Objects within objects (`x-kubernetes-embedded-resource`): whatever else a schema says, they have a kind and metadata.

use trueup_object::Value;

use super::Node;

/// Shows every embedded object, with its path, until one is refused.
pub(super) fn visit<E>(
    schema: Node<'_>,
    value: &mut Value,
    path: &str,
    see: &mut impl FnMut(&mut Value, &str) -> Result<(), E>,
) -> Result<(), E> {
    if schema.is_embedded_resource() && !path.is_empty() && value.as_map().is_some() {
        see(value, path)?;
    }
    match value {
        Value::Map(map) => {
            for (name, present) in map.iter_mut() {
                let Some(known) = schema.property(name).or_else(|| schema.additional()) else { continue };
                let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                visit(known, present, &below, see)?;
            }
        }
        Value::List(items) => {
            let Some(element) = schema.items() else { return Ok(()) };
            for (index, item) in items.iter_mut().enumerate() {
                visit(element, item, &format!("{path}[{index}]"), see)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
    Ok(())
}
