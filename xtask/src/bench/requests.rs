//! What the API server was asked, by its own counters.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use trueup_testkit::http::Client;

/// Numbers of requests by verb and resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    counts: BTreeMap<(String, String), u64>,
}

/// The verbs that change something. `APPLY` is a patch that applies, `PATCH` any other.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

impl Requests {
    /// Everything that was asked so far.
    pub async fn read(client: &Client) -> Result<Self> {
        let reply = client.get("/metrics").await?;
        if reply.code != 200 {
            bail!("read the API server's metrics: {}", reply.complaint());
        }
        Ok(Self::parse(&String::from_utf8_lossy(&reply.body)))
    }

    fn parse(page: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in page.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, number)) = line.rsplit_once('}') else { continue };
            let label = |name: &str| {
                let found = labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                found.unwrap_or_default().trim_matches('"').to_owned()
            };
            let resource = label("resource");
            // The server renews Leases of its own, and so does every candidate, drift or not.
            if resource.is_empty() || resource == "leases" || label("verb") == "WATCH" {
                continue;
            }
            let number: f64 = number.trim().parse().unwrap_or_default();
            *counts.entry((label("verb"), resource)).or_default() += number as u64;
        }
        Self { counts }
    }

    /// What was asked since an earlier reading.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (key, before) in &earlier.counts {
            if let Some(now) = counts.get_mut(key) {
                *now = now.saturating_sub(*before);
            }
        }
        counts.retain(|_, number| *number > 0);
        Self { counts }
    }

    /// Takes away the bench's own.
    pub fn without(mut self, verb: &str, resource: &str, number: usize) -> Self {
        if let Some(found) = self.counts.get_mut(&(verb.to_owned(), resource.to_owned())) {
            *found = found.saturating_sub(number as u64);
        }
        self.counts.retain(|_, number| *number > 0);
        self
    }

    pub fn writes(&self) -> u64 {
        let writes = self.counts.iter().filter(|((verb, _), _)| WRITES.contains(&verb.as_str()));
        writes.map(|(_, number)| number).sum()
    }

    pub fn reads(&self) -> u64 {
        self.counts.values().sum::<u64>() - self.writes()
    }

    /// Each in words, divided by how often it was asked for.
    pub fn by_kind(&self, n: usize) -> String {
        let each = self.counts.iter().map(|((verb, resource), number)| {
            format!("{verb} {resource} {:.2}", *number as f64 / n.max(1) as f64)
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE apiserver_request_total counter\n\
        apiserver_request_total{code=\"200\",resource=\"configmaps\",scope=\"resource\",verb=\"APPLY\"} 3\n\
        apiserver_request_total{code=\"409\",resource=\"configmaps\",scope=\"resource\",verb=\"APPLY\"} 1\n\
        apiserver_request_total{code=\"200\",resource=\"configmaps\",scope=\"resource\",verb=\"GET\"} 2\n\
        apiserver_request_total{code=\"200\",resource=\"leases\",scope=\"resource\",verb=\"PUT\"} 9\n\
        apiserver_request_total{code=\"200\",resource=\"configmaps\",subresource=\"\",verb=\"PATCH\"} 5\n";

    #[test]
    fn requests_are_counted_by_verb_and_resource() {
        let all = Requests::parse(PAGE);
        assert_eq!((all.writes(), all.reads()), (9, 2));
        assert_eq!(all.clone().without("PATCH", "configmaps", 5).writes(), 4);
        assert_eq!(all.since(&all), Requests::default());
        assert_eq!(all.by_kind(2), "APPLY configmaps 2.00, GET configmaps 1.00, PATCH configmaps 2.50");
    }
}
