//! Files of one volume that hide each other, and projected volumes with a source that says nothing.

use trueup_object::{Map, Value};

/// A path, and where it came from, unless the volume says that.
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
    }

    fn shown(&self) -> String {
        if self.source.is_empty() {
            format!("{:?}", self.path)
        } else {
            format!("{:?} ({})", self.path, self.source)
        }
    }

    fn hides(&self, other: &Self) -> bool {
        let within =
            |inner: &Self, outer: &Self| format!("{}/", inner.path).starts_with(&format!("{}/", outer.path));
        !self.path.is_empty() && !other.path.is_empty() && (within(self, other) || within(other, self))
    }
}

/// What there is to warn of the volumes of a pod.
pub fn overlaps(told: &mut Vec<String>, volumes: &[Value]) {
    for volume in volumes {
        let name = volume.str_at(&["name"]).unwrap_or_default();
        for (kind, key, called) in [
            ("configMap", "name", "ConfigMap"),
            ("secret", "secretName", "Secret"),
            ("downwardAPI", "", "DownwardAPI"),
        ] {
            let Some(source) = volume.get(kind) else { continue };
            let title = if key.is_empty() {
                called.to_owned()
            } else {
                format!("{called} {:?}", source.str_at(&[key]).unwrap_or_default())
            };
            collisions(told, name, &title, items(source, ""));
        }
        if let Some(projected) = volume.get("projected") {
            let mut files = Vec::new();
            for source in projected.list_at(&["sources"]) {
                if source.as_map().is_some_and(Map::is_empty) {
                    told.push(format!("volume {name:?} (Projected) has no sources provided"));
                }
                files.extend(projection(source));
            }
            collisions(told, name, "Projected", files);
        }
    }
}

fn items(source: &Value, title: &str) -> Vec<File> {
    let paths = source.list_at(&["items"]).iter().map(|item| item.str_at(&["path"]).unwrap_or_default());
    paths.map(|path| File::new(path, title)).collect()
}

/// The files of one source of a projected volume.
fn projection(source: &Value) -> Vec<File> {
    for (kind, called) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        if let Some(inner) = source.get(kind).filter(|inner| inner.get("items").is_some()) {
            let title = format!("{called} {:?}", inner.str_at(&["name"]).unwrap_or_default());
            return items(inner, &title);
        }
    }
    if let Some(inner) = source.get("downwardAPI").filter(|inner| inner.get("items").is_some()) {
        return items(inner, "DownwardAPI");
    }
    let path = |inner: &Value| inner.str_at(&["path"]).unwrap_or_default().to_owned();
    if let Some(inner) = source.get("serviceAccountToken") {
        return vec![File::new(&path(inner), "ServiceAccountToken")];
    }
    if let Some(inner) = source.get("clusterTrustBundle") {
        let name = inner.str_at(&["name"]).or_else(|| inner.str_at(&["signerName"])).unwrap_or_default();
        return vec![File::new(&path(inner), &format!("ClusterTrustBundle {name:?}"))];
    }
    Vec::new()
}

fn collisions(told: &mut Vec<String>, volume: &str, title: &str, files: Vec<File>) {
    for (index, file) in files.iter().enumerate() {
        for other in files.iter().take(index).filter(|other| file.hides(other)) {
            let (shown, with) = (file.shown(), other.shown());
            told.push(format!("volume {volume:?} ({title}): overlapping paths: {shown} with {with}"));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn files_that_hide_each_other_are_told() {
        let volumes = r#"[
            {"name":"a","configMap":{"name":"c","items":[{"key":"k","path":"x/y"},{"key":"l","path":"x"},{"key":"m","path":"xy"}]}},
            {"name":"b","projected":{"sources":[{},{"secret":{"name":"s","items":[{"key":"k","path":"token/"}]}},
                {"serviceAccountToken":{"path":"token"}}]}}]"#;
        let mut told = Vec::new();
        overlaps(&mut told, Value::from_json(volumes.as_bytes()).unwrap().as_list().unwrap());
        assert_eq!(
            told,
            [
                r#"volume "a" (ConfigMap "c"): overlapping paths: "x" with "x/y""#,
                r#"volume "b" (Projected) has no sources provided"#,
                r#"volume "b" (Projected): overlapping paths: "token" (ServiceAccountToken) with "token" (Secret "s")"#,
            ]
        );
    }
}
