//! The definitions that a cluster needs, as `trueup crds` prints them.
//!
//! Written by hand as YAML: the same bytes are printed, installed by the sandbox and the demo, and checked here.

use trueup_object::Value;
use trueup_object::yaml::YamlError;

const APPLICATION: &str = include_str!("crd/application.yaml");
const DRIFT_REPORT: &str = include_str!("crd/driftreport.yaml");

/// All definitions as one YAML stream, ready for `kubectl apply --server-side -f -`.
pub fn crds_yaml() -> String {
    format!("{APPLICATION}---\n{DRIFT_REPORT}")
}

/// All definitions as objects. Fails only where the embedded text is broken.
pub fn crds() -> Result<Vec<Value>, YamlError> {
    [APPLICATION, DRIFT_REPORT].into_iter().map(|text| Value::from_yaml(text.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn definitions_name_what_the_code_names() {
        let crds = crds().unwrap();
        let names: Vec<_> = crds.iter().map(|crd| crd.str_at(&["metadata", "name"]).unwrap()).collect();
        assert_eq!(names, ["applications.argoproj.io", "driftreports.trueup.dev"]);
        let report = &crds[1];
        assert_eq!(report.str_at(&["spec", "group"]), Some(crate::drift_report::GROUP));
        assert_eq!(report.str_at(&["spec", "names", "kind"]), Some(crate::drift_report::KIND));
        assert_eq!(crds[0].str_at(&["spec", "names", "plural"]), Some(crate::application::PLURAL));
    }

    #[test]
    fn the_application_has_no_status_subresource_and_keeps_unknown_fields() {
        let crds = crds().unwrap();
        let version = &crds[0].list_at(&["spec", "versions"])[0];
        assert_eq!(version.get("subresources").unwrap().to_json(), "{}");
        let properties = version.at(&["schema", "openAPIV3Schema", "properties"]).unwrap();
        for field in ["spec", "operation", "status"] {
            assert_eq!(
                properties.at(&[field, "x-kubernetes-preserve-unknown-fields"]),
                Some(&Value::Bool(true)),
                "{field}"
            );
        }
        // Each part of the status has an owner of its own: who writes a condition does not take away what tells who wrote
        // the rest.
        assert_eq!(properties.at(&["status", "x-kubernetes-map-type"]), None);
        for part in ["sync", "health", "operationState", "summary"] {
            let place = ["status", "properties", part, "x-kubernetes-map-type"];
            assert_eq!(properties.str_at(&place), Some("atomic"), "{part}");
        }
        let columns: Vec<_> = version
            .list_at(&["additionalPrinterColumns"])
            .iter()
            .map(|column| (column.str_at(&["name"]).unwrap(), column.str_at(&["jsonPath"]).unwrap()))
            .collect();
        assert_eq!(
            columns,
            [
                ("Sync Status", ".status.sync.status"),
                ("Health Status", ".status.health.status"),
                ("Revision", ".status.sync.revision"),
                ("Project", ".spec.project"),
            ]
        );
    }

    #[test]
    fn the_file_for_installing_is_what_is_printed() {
        let file = include_str!("../../../deploy/crds.yaml");
        assert!(
            file == crds_yaml(),
            "write deploy/crds.yaml anew: cargo run -p trueup -- crds > deploy/crds.yaml"
        );
    }

    #[test]
    fn the_stream_reads_back() {
        let documents = trueup_object::yaml::read_documents(crds_yaml().as_bytes());
        let values: Vec<_> = documents.into_iter().map(|document| document.unwrap().value).collect();
        assert_eq!(values, crds().unwrap());
    }
}
