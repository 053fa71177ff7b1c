//! Makes a failing sequence small: leaves requests and parts of them out for as long as the worlds part in the same way.

use anyhow::Result;
use trueup_object::Value;

use super::exceptions::Exceptions;
use super::play::{Failure, Ground, Source, play};
use super::request::Request;
use crate::differential::kinds::Kind;
use crate::differential::mutate::{Step, take_out};

/// How many smaller sequences are tried: a few seconds' worth.
const REPLAYS_MAX: usize = 80;

/// In which way two worlds part: the first place, without the numbers of list items, and whether it is a message.
pub fn signature(failure: &Failure) -> String {
    let first = failure.differences.first();
    let path = first.map(|difference| plain(&difference.path)).unwrap_or_default();
    let codes =
        [&failure.real, &failure.ours].map(|text| text.split(' ').next().unwrap_or_default().to_owned());
    format!("{path} {} {}", codes[0], codes[1])
}

/// A path without the numbers of list items.
pub fn plain(path: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside && letter.is_ascii_digit() => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The smallest sequence that was found to fail like this one.
pub async fn shrink(
    ground: &Ground,
    kind: &Kind,
    name: &str,
    failure: Failure,
    exceptions: &Exceptions,
) -> Result<Failure> {
    let wanted = signature(&failure);
    let mut smallest = failure;
    let mut own_name = name.to_owned();
    let mut replays = 0;
    loop {
        let mut shrunk = false;
        for requests in smaller(&smallest.requests) {
            if replays >= REPLAYS_MAX {
                return Ok(renamed(smallest, &own_name, "{{name}}"));
            }
            replays += 1;
            let new_name = format!("{name}s{replays}x");
            let requests: Vec<Request> =
                requests.iter().map(|request| request.renamed(&own_name, &new_name)).collect();
            let given = Source::Given(&requests);
            let played = play(ground, kind, &new_name, given, exceptions.clone()).await;
            let Ok(Some(failure)) = played.map(|outcome| outcome.failure) else { continue };
            if signature(&failure) == wanted {
                smallest = failure;
                own_name = new_name;
                shrunk = true;
                break;
            }
        }
        if !shrunk {
            return Ok(renamed(smallest, &own_name, "{{name}}"));
        }
    }
}

fn renamed(failure: Failure, from: &str, to: &str) -> Failure {
    let requests = failure.requests.iter().map(|request| request.renamed(from, to)).collect();
    Failure { requests, ..failure }
}

/// Sequences with one part less, the largest parts first.
fn smaller(requests: &[Request]) -> Vec<Vec<Request>> {
    let mut found = Vec::new();
    for index in 0..requests.len() {
        if requests.len() > 1 {
            let mut less = requests.to_vec();
            less.remove(index);
            found.push(less);
        }
    }
    for (index, request) in requests.iter().enumerate() {
        let changed = |change: Request| {
            let mut less = requests.to_vec();
            less[index] = change;
            less
        };
        if !request.user.is_empty() || !request.agent.is_empty() {
            found.push(changed(Request { user: String::new(), agent: String::new(), ..request.clone() }));
        }
        let Ok(body) = Value::from_json(request.body.as_bytes()) else { continue };
        // Keys that stand twice would be lost.
        if request.flaw == "duplicate-key" {
            continue;
        }
        let mut places = Vec::new();
        collect(&body, &mut Vec::new(), &mut places);
        places.sort_by_key(Vec::len);
        for steps in places {
            let mut less = body.clone();
            if take_out(&mut less, &steps) {
                found.push(changed(Request { body: less.to_json(), ..request.clone() }));
            }
        }
    }
    found
}

fn collect(value: &Value, steps: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let children: Vec<(Step, &Value)> = match value {
        Value::Map(map) => map.iter().map(|(key, inner)| (Step::Key(key.to_owned()), inner)).collect(),
        Value::List(items) => items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => return,
    };
    for (step, inner) in children {
        steps.push(step);
        places.push(steps.clone());
        collect(inner, steps, places);
        steps.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Verb;
    use super::*;

    #[test]
    fn every_part_may_go() {
        let request = Request::new(Verb::Merge, r#"{"a":{"b":[1]}}"#.to_owned());
        let bodies: Vec<String> =
            smaller(&[request]).into_iter().map(|requests| requests[0].body.clone()).collect();
        assert_eq!(bodies, ["{}", r#"{"a":{}}"#, r#"{"a":{"b":[]}}"#]);
    }

    #[test]
    fn paths_lose_their_numbers() {
        assert_eq!(plain(".spec.containers[12].env[0].name"), ".spec.containers.env.name");
    }
}
