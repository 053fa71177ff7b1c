//! The seeded data "std20": applications of 20 objects each, the same at every run.
//!
//! 5 Deployments, 5 Services and 10 ConfigMaps of 2 KB an application, plain YAML, a file an object, one repository.
//! Deployments have no replicas: what Pods do is not measured, and thousands of them would be most of the load.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;
use trueup_dice::Dice;
use trueup_object::Value;

/// The objects of one application.
pub const OBJECTS: usize = 20;

const DEPLOYMENTS: usize = 5;
const SERVICES: usize = 5;
const CONFIG_MAPS: usize = 10;

/// Keys of a ConfigMap and the length of a value: together 2 KB.
const KEYS: usize = 8;
const VALUE_LENGTH: usize = 248;

/// The ConfigMap that is written by others, and its key.
pub const DRIFTING: &str = "config-0";
pub const DRIFTING_KEY: &str = "key-0";

/// Selects the ConfigMap of each application that is written by others.
pub const DRIFTING_SELECTOR: &str = "std20.example.com/slot=0";

/// One application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct App(pub usize);

impl App {
    /// Also its namespace.
    pub fn name(self) -> String {
        format!("app-{:04}", self.0)
    }

    /// Every other application puts back what others change.
    pub fn heals(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The Application that stands for it.
    pub fn object(self, namespace: &str, repository: &str) -> Value {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "argoproj.io/v1alpha1".into());
        object.set_at(&["kind"], "Application".into());
        object.set_at(&["metadata", "name"], self.name().into());
        object.set_at(&["metadata", "namespace"], namespace.into());
        object.set_at(&["spec", "project"], "default".into());
        object.set_at(&["spec", "source", "repoURL"], repository.into());
        object.set_at(&["spec", "source", "path"], format!("apps/{}", self.name()).into());
        object.set_at(&["spec", "source", "targetRevision"], "main".into());
        object.set_at(&["spec", "destination", "server"], "https://kubernetes.default.svc".into());
        object.set_at(&["spec", "destination", "namespace"], self.name().into());
        object.set_at(&["spec", "syncPolicy", "automated", "selfHeal"], self.heals().into());
        object
    }

    /// What Git says about the key that others write.
    pub fn declared(self) -> String {
        value(self, 0, 0)
    }
}

/// Writes the content of the repository.
pub fn write_content(folder: &Path, n_apps: usize) -> Result<()> {
    for app in (0..n_apps).map(App) {
        let place = folder.join("apps").join(app.name());
        fs::create_dir_all(&place)?;
        for (name, text) in manifests(app) {
            fs::write(place.join(name), text)?;
        }
    }
    Ok(())
}

fn manifests(app: App) -> Vec<(String, String)> {
    let deployments = (0..DEPLOYMENTS).map(|n| (format!("deployment-{n}.yaml"), deployment(n)));
    let services = (0..SERVICES).map(|n| (format!("service-{n}.yaml"), service(n)));
    let config_maps = (0..CONFIG_MAPS).map(|n| (format!("config-{n}.yaml"), config_map(app, n)));
    deployments.chain(services).chain(config_maps).collect()
}

fn deployment(n: usize) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{n}
  labels: {{app: web-{n}, std20.example.com/slot: \"{n}\"}}
spec:
  replicas: 0
  selector:
    matchLabels: {{app: web-{n}}}
  template:
    metadata:
      labels: {{app: web-{n}}}
    spec:
      containers:
        - name: web
          image: registry.example.com/web:1.{n}.0
          ports:
            - {{name: http, containerPort: 8080}}
          env:
            - {{name: MODE, value: production}}
            - name: LEVEL
              valueFrom:
                configMapKeyRef: {{name: config-{n}, key: key-1}}
          resources:
            requests: {{cpu: 100m, memory: 128Mi}}
            limits: {{memory: 256Mi}}
          readinessProbe:
            httpGet: {{path: /ready, port: http}}
"
    )
}

fn service(n: usize) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web-{n}
  labels: {{app: web-{n}, std20.example.com/slot: \"{n}\"}}
spec:
  selector: {{app: web-{n}}}
  ports:
    - {{name: http, port: 80, targetPort: http}}
"
    )
}

fn config_map(app: App, n: usize) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: config-{n}
  labels: {{std20.example.com/slot: \"{n}\"}}
data:
"
    );
    for key in 0..KEYS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  key-{key}: \"{}\"", value(app, n, key));
    }
    text
}

/// A value that compresses badly, as certificates and settings of real ConfigMaps do.
fn value(app: App, n: usize, key: usize) -> String {
    let seed = app.0 * 1000 + n * 10 + key;
    let mut dice = Dice::new(seed as u64);
    let mut text = String::new();
    while text.len() < VALUE_LENGTH {
        let _ = write!(text, "v{:016x}", dice.roll());
    }
    text.truncate(VALUE_LENGTH);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_twenty_objects_that_can_be_read() {
        let all = manifests(App(7));
        assert_eq!(all.len(), OBJECTS);
        for (name, text) in &all {
            let object = Value::from_yaml(text.as_bytes()).unwrap_or_default();
            assert!(object.str_at(&["metadata", "name"]).is_some(), "{name}");
        }
    }

    #[test]
    fn what_drifts_is_what_git_declares() {
        let text = config_map(App(3), 0);
        let object = Value::from_yaml(text.as_bytes()).unwrap_or_default();
        assert_eq!(object.str_at(&["metadata", "name"]), Some(DRIFTING));
        assert_eq!(object.str_at(&["data", DRIFTING_KEY]), Some(App(3).declared().as_str()));
        assert!((1900..2300).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn the_data_are_the_same_at_every_run_and_differ_between_applications() {
        assert_eq!(manifests(App(1)), manifests(App(1)));
        assert_ne!(App(1).declared(), App(2).declared());
    }
}
