//! Published cases that do not pass, each with the reason. The list only shrinks.

/// Health cases, by the path of their object.
pub const HEALTH: &[(&str, &str)] = &[
    ("db.atlasgo.io/AtlasSchema/testdata/healthy.yaml", UNINDENTED),
    (
        "openfaas.com/Function/testdata/progressing.yaml",
        "two documents: Go's reader takes the first, ours takes none",
    ),
    ("work.karmada.io/ClusterResourceBinding/testdata/progressing.yaml", UNINDENTED),
    ("work.karmada.io/ResourceBinding/testdata/progressing.yaml", UNINDENTED),
];

const UNINDENTED: &str =
    "a quoted scalar goes on in the first column: YAML forbids that, Go's reader does not mind";

/// Discovery cases.
pub const DISCOVERIES: &[(&str, &str)] = &[];

/// Action cases.
pub const ACTIONS: &[(&str, &str)] = &[];
