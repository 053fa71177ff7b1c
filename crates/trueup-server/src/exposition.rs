//! Figures in Prometheus' text format, under Argo CD's names where it has one.

use std::fmt::Write as _;

use crate::figures::{AppFigures, Figures};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything, in the order of applications.
pub fn text(figures: &Figures) -> String {
    let mut page = Page::default();
    page.begin("argocd_app_info", "gauge", "Information about an application.");
    for app in &figures.apps {
        page.sample("argocd_app_info", &info(app), "1");
    }
    page.begin("argocd_app_sync_total", "counter", "Number of application syncs.");
    for app in &figures.apps {
        for sync in &app.syncs {
            let mut labels = identity(app);
            labels.push(("dest_server", &app.dest_server));
            labels.push(("phase", &sync.phase));
            labels.push(("dry_run", truth(sync.dry_run)));
            page.sample("argocd_app_sync_total", &labels, &sync.count.to_string());
        }
    }
    let name = "argocd_app_sync_duration_seconds_total";
    page.begin(name, "counter", "Seconds spent in application syncs.");
    for app in figures.apps.iter().filter(|app| !app.syncs.is_empty()) {
        let mut labels = identity(app);
        labels.push(("dest_server", &app.dest_server));
        page.sample(name, &labels, &seconds(app.sync_millis));
    }
    page.begin("trueup_app_looks_total", "counter", "Comparisons of Git with the cluster.");
    for app in &figures.apps {
        page.sample("trueup_app_looks_total", &identity(app), &app.n_looks.to_string());
    }
    page.begin("trueup_app_look_seconds_total", "counter", "Seconds spent in comparisons.");
    for app in &figures.apps {
        page.sample("trueup_app_look_seconds_total", &identity(app), &seconds(app.look_millis));
    }
    page.begin("trueup_leading", "gauge", "Whether this controller holds the Lease.");
    page.sample("trueup_leading", &[], if figures.leading { "1" } else { "0" });
    page.text
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

fn identity(app: &AppFigures) -> Labels<'_> {
    vec![("namespace", &app.namespace), ("name", &app.name), ("project", &app.project)]
}

fn info(app: &AppFigures) -> Labels<'_> {
    let mut labels = identity(app);
    labels.extend([
        ("autosync_enabled", truth(app.autosync)),
        ("repo", app.repo.as_str()),
        ("dest_server", &app.dest_server),
        ("dest_namespace", &app.dest_namespace),
        ("sync_status", &app.sync_status),
        ("health_status", &app.health_status),
        ("operation", &app.operation),
    ]);
    labels
}

fn truth(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.text, "{opening}{label}=\"{escaped}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _infallible = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::SyncCount;

    #[test]
    fn names_and_labels_are_argo_cds() {
        let figures = Figures {
            apps: vec![AppFigures {
                namespace: "argocd".into(),
                name: "web".into(),
                project: "default".into(),
                repo: "https://example.com/\"r\"".into(),
                dest_server: "https://kubernetes.default.svc".into(),
                dest_namespace: "web".into(),
                sync_status: "OutOfSync".into(),
                health_status: "Healthy".into(),
                autosync: true,
                operation: String::new(),
                syncs: vec![SyncCount { phase: "Succeeded".into(), dry_run: false, count: 2 }],
                sync_millis: 1_050,
                n_looks: 3,
                look_millis: 7,
            }],
            ready: true,
            leading: true,
        };
        let text = text(&figures);
        for line in [
            r#"argocd_app_info{namespace="argocd",name="web",project="default",autosync_enabled="true",repo="https://example.com/\"r\"",dest_server="https://kubernetes.default.svc",dest_namespace="web",sync_status="OutOfSync",health_status="Healthy",operation=""} 1"#,
            r#"argocd_app_sync_total{namespace="argocd",name="web",project="default",dest_server="https://kubernetes.default.svc",phase="Succeeded",dry_run="false"} 2"#,
            r#"argocd_app_sync_duration_seconds_total{namespace="argocd",name="web",project="default",dest_server="https://kubernetes.default.svc"} 1.050"#,
            "trueup_leading 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
