//! The kinds that tests are about: the built-in table, the facts that cases rely on, and two custom kinds.

use std::sync::OnceLock;

use trueup_merge::{SchemaSet, TypeRef};
use trueup_object::{Gvk, Value};

pub(super) const KEY: [u8; 32] = *b"a key that is only good in tests";

/// The type of an object, and whether its kind is known.
pub(super) fn type_of(object: &Value) -> (TypeRef<'static>, bool) {
    let known = schemas().lookup(&Gvk::of(object).unwrap());
    (known.unwrap_or_else(TypeRef::untyped), known.is_some())
}

fn schemas() -> &'static SchemaSet {
    static SCHEMAS: OnceLock<SchemaSet> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut table = Value::from_json(include_bytes!("../../../trueup-merge/data/builtin.json")).unwrap();
        let facts = Value::from_yaml(include_bytes!("../../testdata/facts.yaml")).unwrap();
        for (ty, fields) in facts.as_map().unwrap().iter() {
            for (field, known) in fields.as_map().unwrap().iter() {
                for (name, value) in known.as_map().unwrap().iter() {
                    let place = ["types", ty, "fields", field];
                    assert!(table.at(&place).is_some(), "{ty} has no {field}");
                    table.set_at(&["types", ty, "fields", field, name], value.clone());
                }
            }
        }
        let mut schemas = SchemaSet::from_table(&table);
        let crd = Value::from_yaml(include_bytes!("../../testdata/widget-crd.yaml")).unwrap();
        assert_eq!(schemas.add_crd(&crd), Vec::<String>::new());
        schemas
    })
}
