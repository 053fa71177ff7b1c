//! The cluster in which Applications live, as commands use it: reading and writing Applications and what belongs to
//! them with the rights of the caller.

use http::Method;
use trueup_api::drift_report::{self, DriftReport};
use trueup_api::{Application, project_rules, project_said};
use trueup_cluster::lease::{LeaseName, read_lease};
use trueup_cluster::path::with_query;
use trueup_cluster::wire::{BodyKind, WireError};
use trueup_cluster::{Access, Connection};
use trueup_engine::app::{App, AppKey, Unsupported};
use trueup_engine::settings::{self, ARGOCD, ConfigData, Settings, TRUEUP};
use trueup_engine::weight::Level;
use trueup_object::{Text, Value};

use crate::arguments::Globals;
use crate::failure::Failure;
use crate::output::patiently;
use crate::version::VERSION;

/// Where Applications are unless somebody says otherwise.
pub const NAMESPACE: &str = "argocd";

/// Writes of commands are named after the program, not after the controller that owns what is applied.
const MANAGER: &str = "trueup-cli";

/// The cluster of the Applications.
pub struct Home {
    pub access: Access,
    pub connection: Connection,
}

/// The kubeconfig and context of the flags; `--kubeconfig in-cluster` is the service account of the Pod.
pub fn access(globals: &Globals) -> Access {
    if globals.kubeconfig.as_deref().is_some_and(|file| file.as_os_str() == "in-cluster") {
        return Access::InCluster;
    }
    Access::Kubeconfig { file: globals.kubeconfig.clone(), context: globals.context.clone() }
}

impl Home {
    pub async fn open(globals: &Globals) -> Result<Self, Failure> {
        let access = access(globals);
        let connection = Connection::open(&access, VERSION).await?;
        Ok(Self { access, connection })
    }

    /// The Applications of a namespace that a label selector selects.
    pub async fn applications(&self, namespace: &str, selector: &str) -> Result<Vec<Value>, Failure> {
        let mut parameters = Vec::new();
        if !selector.is_empty() {
            parameters.push(("labelSelector", selector));
        }
        let path = with_query(&applications_path(namespace), &parameters);
        let answer = patiently("listing Applications", self.connection.wire.get(&path)).await;
        let answer = answer.map_err(|error| self.unread("list Applications", &error))?;
        let mut list = parse(&answer.body)?;
        let items =
            list.get_mut("items").and_then(Value::as_list_mut).map(std::mem::take).unwrap_or_default();
        Ok(items.into_iter().map(completed).collect())
    }

    /// One Application.
    pub async fn application(&self, key: &AppKey) -> Result<Value, Failure> {
        self.find(key).await?.ok_or_else(|| {
            Failure::user(format!("there is no Application {key}"))
                .hint("`trueup app list` shows what there is; -N names another namespace")
        })
    }

    /// One Application, where it exists.
    pub async fn find(&self, key: &AppKey) -> Result<Option<Value>, Failure> {
        let path = application_path(key);
        match patiently("reading the Application", self.connection.wire.get(&path)).await {
            Ok(answer) => parse(&answer.body).map(completed).map(Some),
            // A cluster that does not know the kind gives the same code and names no object.
            Err(error) if error.is_not_found() && names_an_object(&error) => Ok(None),
            Err(error) => Err(self.unread(&format!("read the Application {key}"), &error)),
        }
    }

    /// Merges into an Application.
    pub async fn merge(&self, key: &AppKey, patch: &Value) -> Result<Value, Failure> {
        let path = with_query(&application_path(key), &[("fieldManager", MANAGER)]);
        let body = patch.to_json().into_bytes();
        let answer = self.connection.wire.write(Method::PATCH, &path, BodyKind::MergePatch, body).await;
        let answer =
            answer.map_err(|error| Failure::of_wire(&format!("change the Application {key}"), &error))?;
        parse(&answer.body).map(completed)
    }

    /// Merges into an Application in the version that the patch names; nothing where it is in another by now.
    pub async fn merge_at_version(&self, key: &AppKey, patch: &Value) -> Result<Option<Value>, Failure> {
        let path = with_query(&application_path(key), &[("fieldManager", MANAGER)]);
        let body = patch.to_json().into_bytes();
        match self.connection.wire.write(Method::PATCH, &path, BodyKind::MergePatch, body).await {
            Ok(answer) => parse(&answer.body).map(completed).map(Some),
            Err(error) if error.status().is_some_and(|status| status.code == 409) => Ok(None),
            Err(error) => Err(Failure::of_wire(&format!("change the Application {key}"), &error)),
        }
    }

    /// Who the caller is to the cluster; empty where the cluster does not say.
    pub async fn user(&self) -> String {
        let mut review = Value::default();
        review.set_at(&["apiVersion"], "authentication.k8s.io/v1".into());
        review.set_at(&["kind"], "SelfSubjectReview".into());
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let body = review.to_json().into_bytes();
        let answer = self.connection.wire.write(Method::POST, path, BodyKind::Json, body).await;
        let review = answer.ok().and_then(|answer| Value::from_json(&answer.body).ok()).unwrap_or_default();
        review.str_at(&["status", "userInfo", "username"]).unwrap_or_default().to_owned()
    }

    /// Creates an Application.
    pub async fn create(&self, object: &Value) -> Result<Value, Failure> {
        let key = app_key(object);
        let path = with_query(&applications_path(&key.namespace), &[("fieldManager", MANAGER)]);
        let body = object.to_json().into_bytes();
        let answer = self.connection.wire.write(Method::POST, &path, BodyKind::Json, body).await;
        let answer = answer.map_err(|error| self.unread(&format!("create the Application {key}"), &error))?;
        parse(&answer.body).map(completed)
    }

    /// Asks for an Application's deletion.
    pub async fn delete(&self, key: &AppKey) -> Result<(), Failure> {
        let path = application_path(key);
        let answer = self.connection.wire.write(Method::DELETE, &path, BodyKind::Json, Vec::new()).await;
        answer.map_err(|error| Failure::of_wire(&format!("delete the Application {key}"), &error))?;
        Ok(())
    }

    /// What the controller has written down about an Application beyond its status; nothing where there is none or it
    /// cannot be read: it only adds to what is known.
    pub async fn report(&self, key: &AppKey) -> Option<DriftReport> {
        DriftReport::of(&self.report_object(key).await?)
    }

    /// The same as it is written.
    pub async fn report_object(&self, key: &AppKey) -> Option<Value> {
        let path = format!(
            "/apis/{}/{}/namespaces/{}/{}/{}",
            drift_report::GROUP,
            drift_report::VERSION,
            key.namespace,
            drift_report::PLURAL,
            key.name
        );
        let answer = self.connection.wire.get(&path).await.ok()?;
        Value::from_json(&answer.body).ok()
    }

    /// The controller that acts on the Applications of a namespace, where one does.
    pub async fn controller(&self, namespace: &str) -> Result<Option<String>, Failure> {
        let lease = LeaseName { namespace: namespace.to_owned(), name: trueup_controller::LEASE.to_owned() };
        match read_lease(&self.connection.wire, &lease).await {
            Ok(record) => {
                let held = record.filter(|record| record.is_held(jiff::Timestamp::now()));
                Ok(held.map(|record| record.holder))
            }
            Err(error) => Err(Failure::of_wire("see whether a controller acts (reading its Lease)", &error)),
        }
    }

    /// What the application's AppProject asks for that this build does not enforce. A project that does not exist
    /// asks for nothing.
    pub async fn project_rules(&self, app: &App) -> Result<Vec<Unsupported>, Failure> {
        use trueup_api::application::{GROUP, VERSION};
        let namespace = &app.key.namespace;
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/appprojects/{}", app.project);
        match self.connection.wire.get(&path).await {
            Ok(answer) => parse(&answer.body).map(|project| project_rules(&project)),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(Failure::of_wire(&format!("read the AppProject {}", app.project), &error)),
        }
    }

    /// What the ConfigMaps in the controller's namespace say about comparing.
    pub async fn settings(&self, namespace: &str) -> Result<Settings, Failure> {
        let mut read = Vec::new();
        let mut unreadable = Vec::new();
        for name in [ARGOCD, TRUEUP] {
            let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
            match self.connection.wire.get(&path).await {
                Ok(answer) => read.push(settings::data(&parse(&answer.body)?)),
                Err(error) if error.is_not_found() => read.push(ConfigData::new()),
                Err(error) if error.status().is_some_and(|status| status.code == 403) => {
                    read.push(ConfigData::new());
                    unreadable.push((name, error.to_string()));
                }
                Err(error) => return Err(self.unread(&format!("read the ConfigMap {name}"), &error)),
            }
        }
        let [argocd, trueup] = read.as_slice() else { return Ok(Settings::default()) };
        let mut settings = Settings::read(argocd, trueup);
        for (name, why) in unreadable {
            settings.note_unreadable(name, &why);
        }
        Ok(settings)
    }

    /// What the application's AppProject says of additions. One that cannot be read says nothing here: where it matters, its
    /// rules are asked for.
    pub async fn project_counts(&self, app: &App) -> Level {
        use trueup_api::application::{GROUP, VERSION};
        let namespace = &app.key.namespace;
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/appprojects/{}", app.project);
        let answer = self.connection.wire.get(&path).await.ok();
        let project = answer.and_then(|answer| Value::from_json(&answer.body).ok());
        project.map(|project| project_said(&project).1).unwrap_or_default()
    }

    fn unread(&self, doing: &str, error: &WireError) -> Failure {
        let failure = Failure::of_wire(doing, error);
        if error.is_not_found() && !names_an_object(error) {
            return Failure::user(format!("{} does not know Applications", self.connection.server))
                .hint("install the definitions: trueup crds | kubectl apply --server-side -f -");
        }
        match error {
            WireError::Unreachable { .. } | WireError::NoAnswer { .. } => {
                Failure { message: format!("{} ({})", failure.message, self.connection.server), ..failure }
            }
            WireError::Tls { .. }
            | WireError::Credentials { .. }
            | WireError::Unreadable { .. }
            | WireError::Refused(_) => failure,
        }
    }
}

/// Whether a 404 is about an object of that name rather than about the kind.
fn names_an_object(error: &WireError) -> bool {
    error.status().is_some_and(|status| status.message.contains(" \""))
}

/// A list leaves out what its items are.
fn completed(mut object: Value) -> Value {
    use trueup_api::application::{GROUP, KIND, VERSION};
    object.set_at(&["apiVersion"], format!("{GROUP}/{VERSION}").into());
    object.set_at(&["kind"], KIND.into());
    object
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    Value::from_json(body)
        .map_err(|error| Failure::world(format!("failed to read the API server's answer: {error}")))
}

fn applications_path(namespace: &str) -> String {
    use trueup_api::application::{GROUP, PLURAL, VERSION};
    format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}")
}

fn application_path(key: &AppKey) -> String {
    format!("{}/{}", applications_path(&key.namespace), key.name)
}

/// Namespace and name of an Application's object.
pub fn app_key(object: &Value) -> AppKey {
    let part = |name: &str| object.str_at(&["metadata", name]).unwrap_or_default();
    AppKey::new(part("namespace"), part("name"))
}

/// An Application that can be read; what is wrong with it is the user's mistake.
pub fn read(object: Value) -> Result<Application, Failure> {
    let key = app_key(&object);
    Application::parse(object).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        Failure::user(format!("the Application {key} makes no sense: {}", errors.join("; ")))
            .hint("correct the fields named with `kubectl edit` or in Git")
    })
}

/// The namespace of the controller that looks after an Application: it decides how tracking marks name the Application.
pub fn controller_namespace(object: &Value) -> Text {
    let told = object.str_at(&["status", "controllerNamespace"]).filter(|told| !told.is_empty());
    Text::from(told.unwrap_or_else(|| object.str_at(&["metadata", "namespace"]).unwrap_or(NAMESPACE)))
}
