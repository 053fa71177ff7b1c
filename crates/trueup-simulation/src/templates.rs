//! The kinds of object that stories are about, each from a small template with a few fields that change.
//!
//! Every declared value is one that an API server keeps as it is: the oracle need not know what else would be equal to it.

use serde_json::{Value, json};
use trueup_dice::Dice;

use crate::story::Place;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub is_namespaced: bool,
    /// Without name and namespace.
    body: &'static str,
    /// Paths that Git declares and somebody changes.
    pub fields: &'static [Field],
    /// Where somebody adds what Git does not declare.
    pub additions: &'static [&'static str],
}

/// A declared path, and the values that it has at one time or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub pointer: &'static str,
    /// JSON.
    pub values: &'static [&'static str],
}

const fn field(pointer: &'static str, values: &'static [&'static str]) -> Field {
    Field { pointer, values }
}

const WORDS: &[&str] = &[r#""one""#, r#""two""#, r#""three""#, r#""four""#];
const NUMBERS: &[&str] = &["1", "2", "3", "4", "5"];
const IMAGES: &[&str] =
    &[r#""registry.local/app:1""#, r#""registry.local/app:2""#, r#""registry.local/app:3""#];
const VERBS: &[&str] = &[r#"["get"]"#, r#"["get","list"]"#, r#"["get","list","watch"]"#];

const WORKLOAD: &str = r#"{"replicas":1,"selector":{"matchLabels":{"app":"NAME"}},"template":{"metadata":{"labels":{"app":"NAME"}},
    "spec":{"containers":[{"name":"app","image":"registry.local/app:1","env":[{"name":"MODE","value":"one"}]}]}}}"#;
const WORKLOAD_FIELDS: &[Field] = &[
    field("/spec/replicas", NUMBERS),
    field("/spec/template/spec/containers/0/image", IMAGES),
    field("/spec/template/spec/containers/0/env/0/value", WORDS),
];

pub const CONFIG_MAP: Template = Template {
    api_version: "v1",
    kind: "ConfigMap",
    is_namespaced: true,
    body: r#"{"data":{"first":"one","second":"two"}}"#,
    fields: &[field("/data/first", WORDS), field("/data/second", WORDS)],
    additions: &["/data/extra", "/data/other"],
};
pub const DEPLOYMENT: Template = Template {
    api_version: "apps/v1",
    kind: "Deployment",
    is_namespaced: true,
    body: WORKLOAD,
    fields: WORKLOAD_FIELDS,
    additions: &["/spec/minReadySeconds", "/spec/template/spec/hostNetwork"],
};
pub const AUTOSCALER: Template = Template {
    api_version: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    is_namespaced: true,
    body: r#"{"spec":{"minReplicas":1,"maxReplicas":9,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"NAME"},
        "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}"#,
    fields: &[field("/spec/maxReplicas", &["7", "8", "9"]), field("/spec/minReplicas", &["1", "2"])],
    additions: &[],
};
pub const DEFINITION: Template = Template {
    api_version: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    is_namespaced: false,
    body: r#"{"spec":{"group":"sim.example","scope":"Namespaced",
        "names":{"kind":"Widget","listKind":"WidgetList","plural":"widgets","singular":"widget"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":
        {"spec":{"type":"object","properties":{"size":{"type":"integer"},"colour":{"type":"string"},"note":{"type":"string"}}}}}}}]}}"#,
    fields: &[],
    additions: &[],
};
pub const WIDGET: Template = Template {
    api_version: "sim.example/v1",
    kind: "Widget",
    is_namespaced: true,
    body: r#"{"spec":{"size":1,"colour":"one"}}"#,
    fields: &[field("/spec/size", NUMBERS), field("/spec/colour", WORDS)],
    additions: &["/spec/note"],
};

/// What an application is made of, apart from definitions and their objects and from autoscalers.
pub const ORDINARY: &[Template] = &[
    CONFIG_MAP,
    CONFIG_MAP,
    DEPLOYMENT,
    Template {
        api_version: "v1",
        kind: "Secret",
        is_namespaced: true,
        body: r#"{"type":"Opaque","data":{"password":"b25l","user":"dHdv"}}"#,
        fields: &[
            field("/data/password", &[r#""b25l""#, r#""dHdv""#, r#""dGhyZWU=""#]),
            field("/data/user", &[r#""b25l""#, r#""dHdv""#]),
        ],
        additions: &["/data/extra"],
    },
    Template {
        api_version: "apps/v1",
        kind: "StatefulSet",
        is_namespaced: true,
        body: "",
        fields: WORKLOAD_FIELDS,
        additions: &[],
    },
    Template {
        api_version: "v1",
        kind: "Service",
        is_namespaced: true,
        body: r#"{"spec":{"selector":{"app":"one"},"ports":[{"name":"http","port":80,"protocol":"TCP","targetPort":8080}]}}"#,
        fields: &[
            field("/spec/selector/app", WORDS),
            field("/spec/ports/0/targetPort", &["8080", "8081", "8082"]),
        ],
        additions: &["/spec/selector/extra"],
    },
    Template {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        is_namespaced: true,
        body: r#"{"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"#,
        fields: &[field("/rules/0/verbs", VERBS)],
        additions: &[],
    },
    Template {
        api_version: "v1",
        kind: "ServiceAccount",
        is_namespaced: true,
        body: r#"{"automountServiceAccountToken":true}"#,
        fields: &[field("/automountServiceAccountToken", &["true", "false"])],
        additions: &[],
    },
    Template {
        api_version: "batch/v1",
        kind: "CronJob",
        is_namespaced: true,
        body: r#"{"spec":{"schedule":"1 1 * * *","suspend":true,"jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
            "containers":[{"name":"app","image":"registry.local/app:1"}]}}}}}}"#,
        fields: &[
            field("/spec/schedule", &[r#""1 1 * * *""#, r#""2 2 * * *""#, r#""3 3 * * *""#]),
            field("/spec/jobTemplate/spec/template/spec/containers/0/image", IMAGES),
        ],
        additions: &["/spec/startingDeadlineSeconds"],
    },
    Template {
        api_version: "policy/v1",
        kind: "PodDisruptionBudget",
        is_namespaced: true,
        body: r#"{"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"one"}}}}"#,
        fields: &[field("/spec/minAvailable", &["1", "2", "3"])],
        additions: &[],
    },
    Template {
        api_version: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        is_namespaced: true,
        body: r#"{"spec":{"podSelector":{"matchLabels":{"app":"one"}},"policyTypes":["Ingress"]}}"#,
        fields: &[field("/spec/podSelector/matchLabels/app", WORDS)],
        additions: &[],
    },
    Template {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        is_namespaced: false,
        body: r#"{"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]}"#,
        fields: &[field("/rules/0/verbs", VERBS)],
        additions: &[],
    },
    Template {
        api_version: "networking.k8s.io/v1",
        kind: "Ingress",
        is_namespaced: true,
        body: r#"{"spec":{"rules":[{"host":"one.example","http":{"paths":[{"path":"/","pathType":"Prefix",
            "backend":{"service":{"name":"one","port":{"number":80}}}}]}}]}}"#,
        fields: &[field(
            "/spec/rules/0/host",
            &[r#""one.example""#, r#""two.example""#, r#""three.example""#],
        )],
        additions: &[],
    },
];

/// Every template; some of the ordinary ones are there more than once, to be chosen more often.
pub const ALL: &[Template] = &[
    ORDINARY[0],
    ORDINARY[2],
    ORDINARY[3],
    ORDINARY[4],
    ORDINARY[5],
    ORDINARY[6],
    ORDINARY[7],
    ORDINARY[8],
    ORDINARY[9],
    ORDINARY[10],
    ORDINARY[11],
    ORDINARY[12],
    AUTOSCALER,
    DEFINITION,
    WIDGET,
];

impl Template {
    /// The template of a kind.
    pub fn of(kind: &str) -> Option<&'static Self> {
        ALL.iter().find(|template| template.kind == kind)
    }

    /// An object with the template's own values.
    pub fn object(&self, namespace: &str, name: &str) -> Value {
        let body = match self.kind {
            "Deployment" => format!(r#"{{"spec":{WORKLOAD}}}"#),
            "StatefulSet" => {
                let service = r#"{"serviceName":"none",""#;
                format!(r#"{{"spec":{}}}"#, WORKLOAD.replacen(r#"{""#, service, 1))
            }
            _ => self.body.to_owned(),
        };
        let mut object: Value = serde_json::from_str(&body.replace("NAME", name)).unwrap_or_default();
        object["apiVersion"] = json!(self.api_version);
        object["kind"] = json!(self.kind);
        object["metadata"] = json!({ "name": name });
        if self.is_namespaced {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    }

    /// Where an object of it is.
    pub fn place(&self, namespace: &str, name: &str) -> Place {
        Place {
            api_version: self.api_version.to_owned(),
            kind: self.kind.to_owned(),
            namespace: if self.is_namespaced { namespace.to_owned() } else { String::new() },
            name: name.to_owned(),
        }
    }
}

impl Field {
    pub fn value(&self, dice: &mut Dice) -> Value {
        serde_json::from_str(dice.one::<&str>(self.values)).unwrap_or_default()
    }
}

/// The place of a manifest's object.
pub fn place_of(object: &Value) -> Option<Place> {
    Some(Place {
        api_version: object["apiVersion"].as_str()?.to_owned(),
        kind: object["kind"].as_str()?.to_owned(),
        namespace: object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
        name: object["metadata"]["name"].as_str()?.to_owned(),
    })
}

/// Whether a name in paths is that of a kind.
pub fn is_plural(name: &str, kind: &str) -> bool {
    match kind {
        "NetworkPolicy" | "Ingress" => name == plural(kind),
        kind => name.strip_suffix('s').is_some_and(|name| {
            name.len() == kind.len() && name.bytes().eq(kind.bytes().map(|byte| byte.to_ascii_lowercase()))
        }),
    }
}

/// The name of a kind in paths.
pub fn plural(kind: &str) -> String {
    match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        "Ingress" => "ingresses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    }
}
