//! One of the two worlds that a sequence is played in: who speaks to it, what it answers, and what its watches tell.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use trueup_object::Value;
use trueup_testkit::http::{BodyKind, Client, Lines, Method};

use super::request::{ACCESS, ADDRESS, DELETED, NODE_PORT, OLD_VERSION, Request, UID, VERSION};
use super::same::is_allocated;
use crate::differential::kinds::Kind;

/// Who may write; the last two are of a group that may do everything.
pub const USERS: [&str; 3] = ["admin", "alice@example.com", "bob@example.com"];

/// An event that is not there after this long does not come.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The label that ends the events of a sequence.
pub const END: &str = "sequence-ends";

/// A world, for everybody who uses it.
pub struct World {
    pub name: &'static str,
    clients: BTreeMap<&'static str, Client>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub warnings: Vec<String>,
    /// Text where it is no JSON.
    pub body: Value,
}

/// A sequence in one world: its object as it is there.
pub struct Stage<'w> {
    world: &'w World,
    pub collection: String,
    pub object_path: String,
    name: String,
    /// The object as it was last read.
    pub live: Option<Value>,
    old_version: String,
}

impl World {
    pub fn open(name: &'static str, kubeconfig: &Path) -> Result<Self> {
        let open = |user| Ok((user, Client::open(kubeconfig, user, "sandbox-differential")?));
        Ok(Self { name, clients: USERS.into_iter().map(open).collect::<Result<_>>()? })
    }

    pub fn admin(&self) -> Result<&Client> {
        self.clients.get("admin").context("there is no admin")
    }

    fn client(&self, request: &Request) -> Result<Client> {
        let user = if request.user.is_empty() { "admin" } else { request.user.as_str() };
        let client = self.clients.get(user).ok_or_else(|| anyhow!("there is no {user}"))?;
        let agent = if request.agent.is_empty() { "sandbox-differential" } else { request.agent.as_str() };
        Ok(client.with_agent(agent))
    }

    /// A handler of the server that panics closes the connection, and has answered in its way.
    async fn send(&self, request: &Request, path: &str, body: String) -> Result<Answer> {
        let body = (!body.is_empty() || request.content_type.is_some())
            .then(|| (request.content_type(), body.into()));
        let reply = self.client(request)?.send_as(request.method(), path, body).await;
        Ok(match reply {
            Ok(reply) => {
                let text = || Value::from(String::from_utf8_lossy(&reply.body).into_owned());
                let body = Value::from_json(&reply.body).unwrap_or_else(|_| text());
                Answer { code: reply.code, warnings: reply.warnings.clone(), body }
            }
            Err(error) => {
                Answer { code: 599, warnings: Vec::new(), body: format!("{}: {error:#}", self.name).into() }
            }
        })
    }
}

impl Answer {
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    pub fn message(&self) -> &str {
        self.body.str_at(&["message"]).or_else(|| self.body.as_str()).unwrap_or_default()
    }
}

/// The address that a Service was given.
fn address(live: &Value) -> Option<String> {
    let address = live.str_at(&["spec", "clusterIP"]).filter(|address| address.starts_with("10.0."));
    address.map(str::to_owned)
}

/// The ports of the nodes that a Service has, each under its number: JSON for JSON.
fn node_ports(live: Option<&Value>) -> Vec<(String, String)> {
    let ports = live.map(|live| live.list_at(&["spec", "ports"])).unwrap_or_default();
    let numbers =
        ports.iter().filter_map(|port| port.int_at(&["nodePort"])).filter(|port| is_allocated(*port));
    let named = |(index, number): (usize, i64)| {
        (format!("\"nodePort\":\"{NODE_PORT}{index}}}}}\""), format!("\"nodePort\":{number}"))
    };
    numbers.enumerate().map(named).collect()
}

/// The volume with the token of a pod's account.
fn access(live: &Value) -> Option<String> {
    let volumes = live.list_at(&["spec", "volumes"]).iter();
    let mut names = volumes.filter_map(|volume| volume.str_at(&["name"]));
    names.find(|name| name.starts_with("kube-api-access-")).map(str::to_owned)
}

impl<'w> Stage<'w> {
    /// `object` has the object's full name, `name` is what tells it apart in texts.
    pub fn new(world: &'w World, kind: &Kind, object: &Value, name: &str) -> Self {
        Self {
            world,
            collection: kind.collection.clone(),
            object_path: kind.path(object),
            name: name.to_owned(),
            live: None,
            old_version: String::new(),
        }
    }

    /// The text with what this world has in place of what stands for it.
    fn filled(&self, text: &str) -> String {
        let metadata = |key: &str| {
            let live = self.live.as_ref();
            live.and_then(|live| live.str_at(&["metadata", key])).unwrap_or_default().to_owned()
        };
        if !text.contains("{{") {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (stands, own) in node_ports(self.live.as_ref()) {
            text = text.replace(&stands, &own);
        }
        text.replace("{{name}}", &self.name)
            .replace(VERSION, &metadata("resourceVersion"))
            .replace(OLD_VERSION, &self.old_version)
            .replace(UID, &metadata("uid"))
            .replace(DELETED, &metadata("deletionTimestamp"))
            .replace(ADDRESS, &self.live.as_ref().and_then(address).unwrap_or_default())
            .replace(ACCESS, &self.live.as_ref().and_then(access).unwrap_or_default())
    }

    /// A request that holds what this world alone made up, with what stands for it in its place.
    pub fn emptied(&self, request: &Request) -> Request {
        let mut request = request.clone();
        let Some(live) = &self.live else { return request };
        let uid = live.str_at(&["metadata", "uid"]).map(str::to_owned);
        let deleted = live.str_at(&["metadata", "deletionTimestamp"]).map(str::to_owned);
        for (own, stands) in
            [(uid, UID), (deleted, DELETED), (address(live), ADDRESS), (access(live), ACCESS)]
        {
            if let Some(own) = own {
                request.body = request.body.replace(&own, stands);
            }
        }
        for (stands, own) in node_ports(Some(live)) {
            request.body = request.body.replace(&own, &stands);
        }
        request
    }

    pub async fn send(&self, request: &Request) -> Result<Answer> {
        let path = self.filled(&request.path(&self.collection, &self.object_path));
        self.world.send(request, &path, self.filled(&request.body)).await
    }

    /// Reads the object anew.
    pub async fn read(&mut self) -> Result<Option<Value>> {
        let before = self.live.take();
        self.live = self.world.admin()?.find(&self.object_path).await?;
        let version = |object: &Option<Value>| {
            object
                .as_ref()
                .and_then(|object| object.str_at(&["metadata", "resourceVersion"]))
                .map(str::to_owned)
        };
        if let Some(old) = version(&before).filter(|old| Some(old) != version(&self.live).as_ref()) {
            self.old_version = old;
        }
        Ok(self.live.clone())
    }

    /// Watches the object from now on.
    pub async fn watch(&self) -> Result<Lines> {
        let name = self.object_path.rsplit('/').next().unwrap_or_default();
        let path = format!("{}?watch=1&fieldSelector=metadata.name%3D{name}", self.collection);
        self.world.admin()?.watch(&path).await
    }

    /// Takes the object away, whatever holds it.
    pub async fn clear(&mut self) -> Result<()> {
        let client = self.world.admin()?;
        for _ in 0..20 {
            let Some(live) = client.find(&self.object_path).await? else { return Ok(()) };
            let deletes = Value::from_json(br#"{"gracePeriodSeconds":0,"propagationPolicy":"Background"}"#)?;
            client
                .send(Method::DELETE, &self.object_path, Some((BodyKind::Json, deletes.to_json().into())))
                .await?;
            if !live.list_at(&["metadata", "finalizers"]).is_empty() {
                let patch = r#"{"metadata":{"finalizers":null}}"#;
                client
                    .send(Method::PATCH, &self.object_path, Some((BodyKind::MergePatch, patch.into())))
                    .await?;
            }
            if live.str_at(&["kind"]) == Some("Namespace") {
                let mut bare = live.clone();
                bare.set_at(&["spec"], Value::from_json(br#"{"finalizers":[]}"#)?);
                bare.remove_at(&["metadata", "resourceVersion"]);
                let path = format!("{}/finalize", self.object_path);
                client.send(Method::PUT, &path, Some((BodyKind::Json, bare.to_json().into()))).await?;
            }
        }
        bail!("{} does not go away in the {}", self.object_path, self.world.name)
    }

    /// The events until the end of the sequence. The object must be gone by now: the least one of its kind comes and goes as the
    /// last event.
    pub async fn events(&self, lines: &mut Lines, least: &Value) -> Result<Vec<Value>> {
        let client = self.world.admin()?;
        let mut last = least.clone();
        last.set_at(&["metadata", "labels", END], "true".into());
        client.write(Method::POST, &self.collection, BodyKind::Json, &last).await?;
        let mut events = Vec::new();
        loop {
            let next = tokio::time::timeout(EVENT_TIMEOUT, lines.next()).await;
            match next.map_err(|_| {
                anyhow!("the watch of {} in the {} lacks its end", self.object_path, self.world.name)
            })?? {
                None => bail!("the watch of {} in the {} ended", self.object_path, self.world.name),
                Some(event) if event.at(&["object", "metadata", "labels", END]).is_some() => break,
                Some(event) => events.push(event),
            }
        }
        Ok(events)
    }
}
