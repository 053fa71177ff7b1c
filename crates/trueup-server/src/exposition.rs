//! Figures in Prometheus' text format, under Argo CD's names where it has one.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::figures::{AppFigures, Figures, ReconcileFigures};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything, in the order of applications.
pub fn text(figures: &Figures) -> String {
    let mut page = Page::default();
    page.begin("argocd_app_info", "gauge", "Information about an application.");
    for app in &figures.apps {
        page.sample("argocd_app_info", &info(app), "1");
    }
    conditions(&mut page, figures);
    app_labels(&mut page, figures);
    syncs(&mut page, figures);
    requests(&mut page, figures);
    page.begin("argocd_app_reconcile", "histogram", "How long comparisons took, in seconds.");
    for reconciles in &figures.reconciles {
        reconcile(&mut page, reconciles);
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

fn conditions(page: &mut Page, figures: &Figures) {
    let name = "argocd_app_condition";
    page.begin(name, "gauge", "Conditions of an application, by type.");
    for app in &figures.apps {
        for (condition, count) in &app.conditions {
            let mut labels = identity(app);
            labels.push(("condition".into(), condition));
            page.sample(name, &labels, &count.to_string());
        }
    }
}

/// Nothing is shown where no labels were asked for: each of them multiplies the series.
fn app_labels(page: &mut Page, figures: &Figures) {
    if figures.shown_labels.is_empty() {
        return;
    }
    let name = "argocd_app_labels";
    page.begin(name, "gauge", "Labels of an application.");
    for app in &figures.apps {
        let mut labels = identity(app);
        for wanted in &figures.shown_labels {
            let found = app.labels.iter().find(|(label, _)| label == wanted);
            let value = found.map(|(_, value)| value.as_str()).unwrap_or_default();
            labels.push((format!("label_{}", plain(wanted)).into(), value));
        }
        page.sample(name, &labels, "1");
    }
}

/// A label's name as Prometheus allows it, the way Argo CD writes it.
fn plain(label: &str) -> String {
    label.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

fn syncs(page: &mut Page, figures: &Figures) {
    page.begin("argocd_app_sync_total", "counter", "Number of application syncs.");
    for app in &figures.apps {
        for sync in &app.syncs {
            let mut labels = identity(app);
            labels.push(("dest_server".into(), &app.dest_server));
            labels.push(("phase".into(), &sync.phase));
            labels.push(("dry_run".into(), truth(sync.dry_run)));
            page.sample("argocd_app_sync_total", &labels, &sync.count.to_string());
        }
    }
    let name = "argocd_app_sync_duration_seconds_total";
    page.begin(name, "counter", "Seconds spent in application syncs.");
    for app in figures.apps.iter().filter(|app| !app.syncs.is_empty()) {
        let mut labels = identity(app);
        labels.push(("dest_server".into(), &app.dest_server));
        page.sample(name, &labels, &seconds(app.sync_millis));
    }
}

fn requests(page: &mut Page, figures: &Figures) {
    let name = "argocd_app_k8s_request_total";
    page.begin(name, "counter", "Requests that changed objects of an application.");
    for app in &figures.apps {
        for request in &app.requests {
            let code = request.response_code.to_string();
            let mut labels = identity(app);
            labels.extend([
                ("server".into(), app.dest_server.as_str()),
                ("response_code".into(), &code),
                ("verb".into(), &request.verb),
                ("resource_kind".into(), &request.resource_kind),
                ("resource_namespace".into(), &request.resource_namespace),
                ("dry_run".into(), truth(request.dry_run)),
            ]);
            page.sample(name, &labels, &request.count.to_string());
        }
    }
}

fn reconcile(page: &mut Page, reconciles: &ReconcileFigures) {
    let ReconcileFigures { namespace, dest_server, classes, count, sum_millis } = reconciles;
    let labels: Labels<'_> = vec![("namespace".into(), namespace), ("dest_server".into(), dest_server)];
    let ends = classes.iter().map(|(end, below)| (class_end(*end), *below));
    for (end, below) in ends.chain([("+Inf".to_owned(), *count)]) {
        let mut labels = labels.clone();
        labels.push(("le".into(), &end));
        page.sample("argocd_app_reconcile_bucket", &labels, &below.to_string());
    }
    page.sample("argocd_app_reconcile_sum", &labels, &seconds(*sum_millis));
    page.sample("argocd_app_reconcile_count", &labels, &count.to_string());
}

/// Milliseconds as seconds in the shortest form, which is how Go's client writes the ends of classes.
fn class_end(millis: u64) -> String {
    let text = seconds(millis);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

type Labels<'a> = Vec<(Cow<'static, str>, &'a str)>;

fn identity(app: &AppFigures) -> Labels<'_> {
    vec![("namespace".into(), &app.namespace), ("name".into(), &app.name), ("project".into(), &app.project)]
}

fn info(app: &AppFigures) -> Labels<'_> {
    let mut labels = identity(app);
    labels.extend([
        ("autosync_enabled".into(), truth(app.autosync)),
        ("repo".into(), app.repo.as_str()),
        ("dest_server".into(), &app.dest_server),
        ("dest_namespace".into(), &app.dest_namespace),
        ("sync_status".into(), &app.sync_status),
        ("health_status".into(), &app.health_status),
        ("operation".into(), &app.operation),
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

    fn sample(&mut self, name: &str, labels: &[(Cow<'static, str>, &str)], value: &str) {
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
    use crate::figures::{RequestCount, SyncCount};

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
                conditions: vec![("SyncError".into(), 2)],
                labels: vec![("team/name".into(), "shop".into()), ("other".into(), "x".into())],
                requests: vec![RequestCount {
                    verb: "Patch".into(),
                    response_code: 200,
                    resource_kind: "deployments".into(),
                    resource_namespace: "web".into(),
                    dry_run: false,
                    count: 4,
                }],
            }],
            reconciles: vec![ReconcileFigures {
                namespace: "argocd".into(),
                dest_server: "https://kubernetes.default.svc".into(),
                classes: vec![(250, 1), (1_000, 2)],
                count: 3,
                sum_millis: 2_500,
            }],
            shown_labels: vec!["team/name".into(), "absent".into()],
            ready: true,
            leading: true,
        };
        let text = text(&figures);
        for line in [
            r#"argocd_app_info{namespace="argocd",name="web",project="default",autosync_enabled="true",repo="https://example.com/\"r\"",dest_server="https://kubernetes.default.svc",dest_namespace="web",sync_status="OutOfSync",health_status="Healthy",operation=""} 1"#,
            r#"argocd_app_sync_total{namespace="argocd",name="web",project="default",dest_server="https://kubernetes.default.svc",phase="Succeeded",dry_run="false"} 2"#,
            r#"argocd_app_sync_duration_seconds_total{namespace="argocd",name="web",project="default",dest_server="https://kubernetes.default.svc"} 1.050"#,
            r#"argocd_app_condition{namespace="argocd",name="web",project="default",condition="SyncError"} 2"#,
            r#"argocd_app_labels{namespace="argocd",name="web",project="default",label_team_name="shop",label_absent=""} 1"#,
            r#"argocd_app_k8s_request_total{namespace="argocd",name="web",project="default",server="https://kubernetes.default.svc",response_code="200",verb="Patch",resource_kind="deployments",resource_namespace="web",dry_run="false"} 4"#,
            r#"argocd_app_reconcile_bucket{namespace="argocd",dest_server="https://kubernetes.default.svc",le="0.25"} 1"#,
            r#"argocd_app_reconcile_bucket{namespace="argocd",dest_server="https://kubernetes.default.svc",le="1"} 2"#,
            r#"argocd_app_reconcile_bucket{namespace="argocd",dest_server="https://kubernetes.default.svc",le="+Inf"} 3"#,
            r#"argocd_app_reconcile_sum{namespace="argocd",dest_server="https://kubernetes.default.svc"} 2.500"#,
            r#"argocd_app_reconcile_count{namespace="argocd",dest_server="https://kubernetes.default.svc"} 3"#,
            "# TYPE argocd_app_reconcile histogram",
            "trueup_leading 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
