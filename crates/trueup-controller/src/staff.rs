//! The workers of an installation: one for each Application, hired when it appears.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use trueup_engine::app::AppKey;
use trueup_object::{Gvk, ResourceKey, Text};

use crate::mailbox::{Depth, Mailbox};

/// The kind whose objects are the applications.
pub fn application_kind() -> Gvk {
    Gvk::new("argoproj.io", "v1alpha1", "Application")
}

/// The kind of the projects that Applications name.
pub fn project_kind() -> Gvk {
    Gvk::new("argoproj.io", "v1alpha1", "AppProject")
}

/// The kind of our own reports.
pub fn report_kind() -> Gvk {
    Gvk::new("trueup.dev", "v1alpha1", "DriftReport")
}

/// Mailboxes by application. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Staff {
    /// Empty: Applications of every namespace.
    namespace: Text,
    mailboxes: Arc<Mutex<BTreeMap<AppKey, Mailbox>>>,
    hires: mpsc::UnboundedSender<(AppKey, Mailbox)>,
}

impl Staff {
    /// `hires` receives every application that appears, with the mailbox of its worker. It is unbounded because it
    /// holds at most one entry for each Application.
    pub fn new(namespace: &str, hires: mpsc::UnboundedSender<(AppKey, Mailbox)>) -> Self {
        Self { namespace: namespace.into(), mailboxes: Arc::default(), hires }
    }

    /// The namespace of the Applications.
    pub fn namespace(&self) -> &Text {
        &self.namespace
    }

    /// Wakes the worker of an application, where there is one.
    pub fn wake(&self, app: &AppKey, depth: Depth) {
        if let Some(mailbox) = self.mailboxes().get(app) {
            mailbox.wake(depth);
        }
    }

    pub fn wake_all(&self, depth: Depth) {
        for mailbox in self.mailboxes().values() {
            mailbox.wake(depth);
        }
    }

    /// Takes note of a changed object that is ours: an Application wakes its worker, which is hired first where there is
    /// none. Says whether the object was one of ours.
    pub fn object_changed(&self, key: &ResourceKey) -> bool {
        let is = |gvk: Gvk| gvk.group == key.group && gvk.kind == key.kind;
        if is(application_kind()) {
            if key.namespace == self.namespace {
                self.hire(AppKey::new(&key.namespace, &key.name));
            }
            return true;
        }
        if is(project_kind()) {
            self.wake_all(Depth::Live);
            return true;
        }
        is(report_kind())
    }

    /// Takes note of a kind whose listing began, ended or failed.
    pub fn kind_changed(&self, gvk: &Gvk) {
        if *gvk == application_kind() || *gvk == project_kind() {
            self.wake_all(Depth::Live);
        }
    }

    fn hire(&self, app: AppKey) {
        let mut mailboxes = self.mailboxes();
        let mailbox = mailboxes.entry(app.clone()).or_insert_with(|| {
            let mailbox = Mailbox::default();
            // The receiver is gone only when the controller ends.
            let _ = self.hires.send((app, mailbox.clone()));
            mailbox
        });
        mailbox.wake(Depth::Live);
    }

    /// Every application that is known, with the mailbox of its worker.
    pub fn everyone(&self) -> Vec<(AppKey, Mailbox)> {
        self.mailboxes().iter().map(|(app, mailbox)| (app.clone(), mailbox.clone())).collect()
    }

    /// Forgets an application whose Application is gone.
    pub fn dismiss(&self, app: &AppKey) {
        self.mailboxes().remove(app);
    }

    fn mailboxes(&self) -> MutexGuard<'_, BTreeMap<AppKey, Mailbox>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
