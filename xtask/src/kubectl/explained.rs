//! What `kubectl explain` says, without the words of the control plane for which the sandbox has none.

/// Two explanations; of the real one without the descriptions that ours does not have where it has the same field.
pub fn without_words(real: &str, ours: &str) -> (String, String) {
    let (mut left, right) = (parts(real), parts(ours));
    for (real, ours) in left.iter_mut().zip(&right) {
        if real.head == ours.head && ours.words.is_empty() {
            real.words.clear();
        }
    }
    (text(&left), text(&right))
}

/// A headline or a field, and what is said of it.
struct Part<'a> {
    head: &'a str,
    words: Vec<&'a str>,
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let is_head =
            !line.starts_with(' ') || line.contains("\t<") || line.trim_start().starts_with("enum: ");
        match parts.last_mut() {
            Some(part) if !is_head => {
                // What kubectl says where there is nothing to be said.
                if !matches!(line.trim(), "<empty>" | "<no description>") {
                    part.words.push(line);
                }
            }
            Some(_) | None => parts.push(Part { head: line, words: Vec::new() }),
        }
    }
    parts
}

fn text(parts: &[Part<'_>]) -> String {
    let lines = parts.iter().flat_map(|part| std::iter::once(&part.head).chain(&part.words));
    lines.copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "KIND: Gadget\n\nDESCRIPTION:\n    <empty>\nFIELDS:\n  kind\t<string>\n    <no description>\n\n  size\t<string>\n    How large.\n";

    #[test]
    fn words_are_compared_where_both_have_some() {
        let real = OURS.replace("<empty>", "A gadget.\n    Really.").replace("<no description>", "Its kind.");
        let (left, right) = without_words(&real, OURS);
        assert_eq!(left, right);
        let (left, right) = without_words(&real.replace("How large", "How small"), OURS);
        assert_ne!(left, right);
    }

    #[test]
    fn fields_and_types_are_always_compared() {
        for (from, to) in
            [("size\t<string>", "size\t<integer>"), ("  kind\t<string>\n", ""), ("Gadget", "Widget")]
        {
            let (left, right) = without_words(&OURS.replace(from, to), OURS);
            assert_ne!(left, right, "{from}");
        }
    }
}
