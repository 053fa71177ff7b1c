//! What kubectl says, without what no two clusters agree on: ids, versions, times, addresses, ports, generated names, and the
//! blanks that follow from their lengths.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What is a world's own.
pub struct Sight<'a> {
    pub node: &'a str,
    pub folder: &'a Path,
}

/// The letters of generated names (`k8s.io/apimachinery/pkg/util/rand`): no vowels, nothing that looks like another.
const GENERATED: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// What the kubelets, which are none, say that they are. Before the name of a node, which may be its beginning.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(kwok|sandbox)-\d+\.\d+\.\d+")
        .unwrap_or_else(|error| panic!("the pattern is fixed: {error}"))
});

/// What is replaced by what, in this order.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules: [(&str, &str); 18] = [
        (r"https://127\.0\.0\.1:\d+", "<server>"),
        (r"127\.0\.0\.1:\d+", "<address>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4})", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w+ \d{4} \d\d:\d\d:\d\d [+-]\d+", "<time>"),
        // klog's head: severity, date, time and process.
        (r"(?m)^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "$1<time> "),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r#"([rR]esource ?[vV]ersion"?: *)"?\d+"?"#, "$1<revision>"),
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
        (r"\b10\.\d+\.\d+\.\d+\b", "<ip>"),
        // Node ports.
        (r"\b3[0-2]\d{3}\b", "<port>"),
        (r"/tmp/(kubectl-edit|LIVE|MERGED)-\w+", "/tmp/$1-<name>"),
        // A pod of a deployment, a replica set or revision, anything else with a generated name.
        (r"-{}{8,10}-{}{5}\b", "-<hash>-<name>"),
        (r"-{}{8,10}\b", "-<hash>"),
        (r#"(hash"?[:=] ?"?){}{8,10}\b"#, "$1<hash>"),
        (r"-{}{5}\b", "-<name>"),
        (
            r#"((image|imageID|containerID|Image ID|Container ID):) +"?(kwok|containerd|docker)://\S*"#,
            "$1 <id>",
        ),
        // An age or duration after a blank: 5s, 2m3s, 1h, 250ms.
        (r"(^|[\s(=])(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?m?s|\d+[mhd])\b", "$1<age>"),
        (r"<age>( \(x\d+ over <age>\))", "<age>"),
    ];
    let compiled = rules.into_iter().filter_map(|(pattern, replacement)| {
        Regex::new(&pattern.replace("{}{", &format!("{GENERATED}{{"))).ok().map(|regex| (regex, replacement))
    });
    compiled.collect()
});

impl Sight<'_> {
    pub fn comparable(&self, text: &str) -> String {
        let folder = self.folder.to_string_lossy();
        let json = text.starts_with('{').then(|| serde_json::from_str::<Value>(text).ok());
        let sorted = json.flatten().map(in_order).and_then(|value| serde_json::to_string_pretty(&value).ok());
        let text = VERSION.replace_all(sorted.as_deref().unwrap_or(text), "<version>");
        let mut text = text.replace(&*folder, "<folder>").replace(self.node, "<node>");
        for (pattern, replacement) in RULES.iter() {
            text = pattern.replace_all(&text, *replacement).into_owned();
        }
        let mut lines: Vec<String> = text.lines().map(even).collect();
        sort_generated(&mut lines);
        lines.join("\n")
    }
}

/// JSON without the orders that mean nothing: that of keys, and that of managed fields, whose entries stand by the seconds in
/// which they were written.
fn in_order(mut value: Value) -> Value {
    if let Some(entries) = value.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        entries.sort_by_key(|entry| {
            ["manager", "operation", "subresource", "apiVersion"].map(|key| entry[key].to_string())
        });
    }
    value
}

/// One line with even gaps: how wide a column is follows from its cells.
fn even(line: &str) -> String {
    let indented = line.len() - line.trim_start_matches(' ').len();
    let (indent, rest) = line.split_at(indented);
    let mut out = indent.to_owned();
    let mut blanks = 0;
    for char in rest.trim_end().chars() {
        blanks = if char == ' ' { blanks + 1 } else { 0 };
        if blanks <= 2 {
            out.push(char);
        }
    }
    if !out.is_empty() && out.chars().all(|char| char == '-') { "---".to_owned() } else { out }
}

/// Lines that follow each other in the order of generated names, in an order of their own.
fn sort_generated(lines: &mut [String]) {
    let generated = |line: &String| line.contains("<name>");
    for group in lines.chunk_by_mut(|left, right| generated(left) && generated(right)) {
        group.sort();
    }
}

/// The lines in which two texts differ, between what they begin and end with alike.
pub fn apart<'a>(left: &'a str, right: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (left, right): (Vec<&str>, Vec<&str>) = (left.lines().collect(), right.lines().collect());
    let head = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
    let rest = left.len().min(right.len()) - head;
    let tail = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take(rest)
        .take_while(|(left, right)| left == right)
        .count();
    (left[head..left.len() - tail].to_vec(), right[head..right.len() - tail].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparable(text: &str) -> String {
        Sight { node: "node-0", folder: Path::new("/tmp/x/real") }.comparable(text)
    }

    #[test]
    fn every_rule_is_a_pattern() {
        assert_eq!(RULES.len(), 18);
    }

    #[test]
    fn hides_what_is_a_clusters_own() {
        let table = "NAME                   READY   AGE\nweb-5d4f8c7b9-x2x5z   1/1     3m12s\nweb-5d4f8c7b9-b4b5b  1/1  5s";
        assert_eq!(
            comparable(table),
            "NAME  READY  AGE\nweb-<hash>-<name>  1/1  <age>\nweb-<hash>-<name>  1/1  <age>"
        );
        let object = "  creationTimestamp: \"2026-11-21T17:54:27Z\"\n  resourceVersion: \"258\"\n  \
                      uid: 55a24224-2056-4614-b794-19be6f784d9c\n  nodePort: 31234\n  host: node-0";
        assert_eq!(
            comparable(object),
            "  creationTimestamp: \"<time>\"\n  resourceVersion: <revision>\n  uid: <uid>\n  nodePort: <port>\n  \
             host: <node>"
        );
        assert_eq!(comparable("ready  15s  at 10.0.0.7:80"), "ready  <age>  at <ip>:80");
    }

    #[test]
    fn orders_that_mean_nothing_are_no_difference() {
        let of = |first: &str, second: &str| {
            let entry = |name: &str| format!("{{\"manager\":\"{name}\"}}");
            let (first, second) = (entry(first), entry(second));
            comparable(&format!("{{\"metadata\":{{\"managedFields\":[{first},{second}]}},\"a\":1}}"))
        };
        assert_eq!(of("x", "y"), of("y", "x"));
        assert_ne!(of("x", "y"), of("x", "z"));
        assert_eq!(comparable("{\"a\":1,\"b\":2}"), comparable("{\"b\":2,\"a\":1}\n"));
    }

    #[test]
    fn keeps_what_differs() {
        for (left, right) in [("replicas: 2", "replicas: 3"), ("web-front", "web-back"), ("  a: b", "a: b")] {
            assert_ne!(comparable(left), comparable(right));
        }
    }

    #[test]
    fn tells_where_texts_differ() {
        assert_eq!(apart("a\nb\nc", "a\nx\ny\nc"), (vec!["b"], vec!["x", "y"]));
        assert_eq!(apart("a\na", "a"), (vec!["a"], vec![]));
        assert_eq!(apart("", ""), (vec![], vec![]));
    }
}
