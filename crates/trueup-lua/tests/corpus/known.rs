//! Published cases that do not pass, each with the reason. The list only shrinks, save where a mask must be
//! wider than what it hides.

/// Health cases, by the path of their object.
pub const HEALTH: &[(&str, &str)] = &[
    ("db.atlasgo.io/AtlasSchema/testdata/healthy.yaml", UNINDENTED),
    ("external-secrets.io/PushSecret/testdata/degraded.yaml", MASKED),
    ("openfaas.com/Function/testdata/degraded_no_secret.yaml", MASKED),
    (
        "openfaas.com/Function/testdata/progressing.yaml",
        "two documents: Go's reader takes the first, ours takes none",
    ),
    ("operator.victoriametrics.com/_/testdata/degraded.yaml", MASKED),
    ("work.karmada.io/ClusterResourceBinding/testdata/progressing.yaml", UNINDENTED),
    ("work.karmada.io/ResourceBinding/testdata/progressing.yaml", UNINDENTED),
];

const UNINDENTED: &str =
    "a quoted scalar goes on in the first column: YAML forbids that, Go's reader does not mind";

const MASKED: &str =
    "a name stands in the object under a sensitive name, as a value would: the message shows it masked";

/// Discovery cases.
pub const DISCOVERIES: &[(&str, &str)] = &[];

/// Action cases.
pub const ACTIONS: &[(&str, &str)] = &[];
