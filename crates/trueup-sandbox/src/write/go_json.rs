//! What Go's decoder says of a text that is no JSON (`encoding/json`), so that refusals read as the server's do.

/// Deeper documents are refused by Go before anybody looks at them.
const DEPTH_MAX: usize = 10_000;

/// Why a text is no JSON; `None` where Go would read it.
pub fn syntax_error(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader { bytes, at: 0, depth: 0 };
    reader.document().err().map(|wrong| match wrong {
        Wrong::End => "unexpected end of JSON input".to_owned(),
        Wrong::Byte(place) => match bytes.get(reader.at) {
            Some(byte) => format!("invalid character {} {place}", quoted(*byte)),
            None => "unexpected end of JSON input".to_owned(),
        },
    })
}

/// The beginning of a body as refusals show it: as text where it looks like JSON, else in hexadecimal.
pub fn excerpt(body: &[u8]) -> String {
    const BYTES_MAX: usize = 30;
    let (head, more) = match body.get(..BYTES_MAX) {
        Some(head) if body.len() > BYTES_MAX => (head, " ..."),
        _ => (body, ""),
    };
    match head.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let digits: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{digits}{more}")
        }
    }
}

enum Wrong {
    End,
    /// The byte that is read next does not belong there.
    Byte(&'static str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Wrong> {
        self.value()?;
        self.space();
        if self.at < self.bytes.len() { Err(Wrong::Byte("after top-level value")) } else { Ok(()) }
    }

    fn peek(&self) -> Result<u8, Wrong> {
        self.bytes.get(self.at).copied().ok_or(Wrong::End)
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Without recursion: what is nested ten thousand deep must not end this thread.
    fn value(&mut self) -> Result<(), Wrong> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            match self.peek()? {
                kind @ (b'{' | b'[') => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(Wrong::Byte("exceeded max depth"));
                    }
                    self.at += 1;
                    self.space();
                    let closes = if kind == b'{' { b'}' } else { b']' };
                    if self.peek()? == closes {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        open.push(kind);
                        if kind == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return Err(Wrong::Byte("looking for beginning of value")),
            }
            // A value has ended: what holds it goes on or ends too.
            loop {
                let Some(kind) = open.last().copied() else { return Ok(()) };
                self.space();
                match (kind, self.peek()?) {
                    (b'{', b',') => {
                        self.at += 1;
                        self.space();
                        self.key()?;
                        break;
                    }
                    (b'[', b',') => {
                        self.at += 1;
                        break;
                    }
                    (b'{', b'}') | (b'[', b']') => {
                        self.at += 1;
                        self.depth -= 1;
                        open.pop();
                    }
                    (b'{', _) => return Err(Wrong::Byte("after object key:value pair")),
                    _ => return Err(Wrong::Byte("after array element")),
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), Wrong> {
        if self.peek()? != b'"' {
            return Err(Wrong::Byte("looking for beginning of object key string"));
        }
        self.string()?;
        self.space();
        if self.peek()? != b':' {
            return Err(Wrong::Byte("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Wrong> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                        b'u' => {
                            for _ in 0..4 {
                                self.at += 1;
                                if !self.peek()?.is_ascii_hexdigit() {
                                    return Err(Wrong::Byte("in \\u hexadecimal character escape"));
                                }
                            }
                        }
                        _ => return Err(Wrong::Byte("in string escape code")),
                    }
                }
                0..=0x1f => return Err(Wrong::Byte("in string literal")),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn digits(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn digit(&mut self, place: &'static str) -> Result<(), Wrong> {
        if !self.peek()?.is_ascii_digit() {
            return Err(Wrong::Byte(place));
        }
        self.digits();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digit("in numeric literal")?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Wrong> {
        for (index, expected) in word.bytes().enumerate() {
            if self.peek()? != expected {
                return Err(Wrong::Byte(in_literal(word, index)));
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn in_literal(word: &'static str, index: usize) -> &'static str {
    match (word, index) {
        ("true", 1) => "in literal true (expecting 'r')",
        ("true", 2) => "in literal true (expecting 'u')",
        ("true", _) => "in literal true (expecting 'e')",
        ("false", 1) => "in literal false (expecting 'a')",
        ("false", 2) => "in literal false (expecting 'l')",
        ("false", 3) => "in literal false (expecting 's')",
        ("false", _) => "in literal false (expecting 'e')",
        (_, 1) => "in literal null (expecting 'u')",
        (_, _) => "in literal null (expecting 'l')",
    }
}

/// A byte as Go quotes one.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        // Go shows the letter that has this number, not the one that the byte begins.
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn speaks_as_go_does() {
        for (text, want) in [
            ("", "unexpected end of JSON input"),
            (r#"{"a":"#, "unexpected end of JSON input"),
            ("this", "invalid character 'h' in literal true (expecting 'r')"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{a}", "invalid character 'a' looking for beginning of object key string"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1 2}"#, "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e,", "invalid character ',' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("\"\u{1}\"", r"invalid character '\x01' in string literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            (r#""\u00z""#, r"invalid character 'z' in \u hexadecimal character escape"),
        ] {
            assert_eq!(syntax_error(text.as_bytes()).unwrap(), want, "{text}");
        }
        assert_eq!(syntax_error(br#" {"a":[1,-0.5e+3,true,false,null,"\u00e4"],"b":{}} "#), None);
        let deep = "[".repeat(20_000);
        assert_eq!(syntax_error(deep.as_bytes()).unwrap(), "invalid character '[' exceeded max depth");
    }

    #[test]
    fn shows_the_beginning_of_a_body() {
        assert_eq!(excerpt(b""), "<empty>");
        assert_eq!(excerpt(b"{}"), "{}");
        assert_eq!(excerpt(&[b'{'; 31]), format!("{} ...", "{".repeat(30)));
        assert_eq!(excerpt(b"[]"), "5b5d");
    }
}
