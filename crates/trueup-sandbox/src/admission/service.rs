//! Where a webhook behind a Service is: what the server makes of the Service, and the cluster's network of its address.
//!
//! The server asks a Service's own address, and the nodes' proxies pass that on to an endpoint. Nothing runs in the sandbox, so that
//! a Pod's endpoint takes no connection; one that somebody wrote by hand, for what runs elsewhere, is asked.

use std::net::{IpAddr, SocketAddr};

use trueup_object::Value;

use crate::api::Api;
use crate::state::{Name, ResourceId};

/// Who is to be asked in the place of a Service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Address(SocketAddr),
    Named(String, u16),
}

/// What a webhook's configuration says of its Service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) port: u16,
}

impl<'a> Reference<'a> {
    pub(super) fn of(service: &'a Value) -> Self {
        Self {
            namespace: service.str_at(&["namespace"]).unwrap_or_default(),
            name: service.str_at(&["name"]).unwrap_or_default(),
            port: service.int_at(&["port"]).and_then(|port| u16::try_from(port).ok()).unwrap_or(443),
        }
    }

    /// As which it is asked, and which its certificate must name.
    pub(super) fn host(&self) -> String {
        format!("{}.{}.svc:{}", self.name, self.namespace, self.port)
    }

    /// Where it is, or why it cannot be reached, in the server's words.
    pub(super) fn resolve(&self, api: &Api) -> Result<Place, String> {
        let Self { namespace, name, port } = *self;
        let found = api.store().get(&ResourceId::new("", "services"), &Name::new(namespace, name));
        let service = found.ok_or_else(|| format!("service {name:?} not found"))?;
        let address = service.str_at(&["spec", "clusterIP"]).unwrap_or_default();
        if service.str_at(&["spec", "type"]) == Some("ExternalName") {
            let external = service.str_at(&["spec", "externalName"]).unwrap_or_default();
            return Ok(Place::Named(external.to_owned(), port));
        }
        if address == "None" {
            return Err("cannot route to service with ClusterIP \"None\"".to_owned());
        }
        let ports = service.list_at(&["spec", "ports"]);
        let Some(found) = ports.iter().find(|it| it.int_at(&["port"]) == Some(i64::from(port))) else {
            return Err(format!("no service port {port} found for service {name:?}"));
        };
        let refused = || format!("dial tcp {address}:{port}: connect: connection refused");
        let port_name = found.str_at(&["name"]).unwrap_or_default();
        self.endpoint(api, port_name).map(Place::Address).ok_or_else(refused)
    }

    /// The first ready endpoint that is no Pod of the sandbox.
    fn endpoint(&self, api: &Api, port_name: &str) -> Option<SocketAddr> {
        let (slices, _) =
            api.store().list(&ResourceId::new("discovery.k8s.io", "endpointslices"), self.namespace);
        let label = ["metadata", "labels", "kubernetes.io/service-name"];
        slices.iter().filter(|slice| slice.str_at(&label) == Some(self.name)).find_map(|slice| {
            let mut ports = slice.list_at(&["ports"]).iter();
            let port = ports.find(|it| it.str_at(&["name"]).unwrap_or_default() == port_name)?;
            let port = u16::try_from(port.int_at(&["port"])?).ok()?;
            let endpoints = slice.list_at(&["endpoints"]).iter();
            let ready = endpoints.filter(|it| {
                let ready = it.at(&["conditions", "ready"]).and_then(Value::as_bool);
                ready != Some(false) && it.str_at(&["targetRef", "kind"]) != Some("Pod")
            });
            let address = ready.filter_map(|it| it.list_at(&["addresses"]).first()?.as_str()).next()?;
            Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port))
        })
    }
}
