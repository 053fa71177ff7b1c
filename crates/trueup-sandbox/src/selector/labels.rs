//! Label selectors as text, read as the server reads them: the same words, the same tolerance, the same refusals
//! (`k8s.io/apimachinery/pkg/labels`).

use trueup_object::value::Text;

use super::{Condition, LabelRequirement};
use crate::write::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    End,
    Identifier,
    In,
    NotIn,
    Comma,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    Open,
    Closed,
}

/// What may stand between a key and a value, as refusals list it.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

const SPECIAL: &[char] = &['=', '!', '(', ')', ',', '>', '<'];

/// Reads a selector; the error is what the server says of it.
pub fn parse(text: &str) -> Result<Vec<LabelRequirement>, String> {
    let mut parser = Parser { tokens: tokens(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.ahead() {
            (Token::End, _) => return Ok(requirements),
            (Token::Identifier | Token::Not, _) => {
                let requirement = parser.requirement();
                requirements
                    .push(requirement.map_err(|error| format!("unable to parse requirement: {error}"))?);
                match parser.take() {
                    (Token::End, _) => return Ok(requirements),
                    (Token::Comma, _) => match parser.ahead() {
                        (Token::Identifier | Token::Not, _) => {}
                        (_, found) => {
                            return Err(format!("found '{found}', expected: identifier after ','"));
                        }
                    },
                    (_, found) => {
                        return Err(format!("found '{found}', expected: ',' or 'end of string'"));
                    }
                }
            }
            (_, found) => {
                return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
}

struct Parser {
    tokens: Vec<(Token, String)>,
    position: usize,
}

impl Parser {
    /// The next token where a key or value is read: there `in` and `notin` are names like others.
    fn ahead(&self) -> (Token, String) {
        match self.raw() {
            (Token::In | Token::NotIn, text) => (Token::Identifier, text),
            other => other,
        }
    }

    fn raw(&self) -> (Token, String) {
        self.tokens.get(self.position).cloned().unwrap_or((Token::End, String::new()))
    }

    fn take(&mut self) -> (Token, String) {
        let token = self.ahead();
        self.position += 1;
        token
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let is_not = self.ahead().0 == Token::Not;
        if is_not {
            self.position += 1;
        }
        let (Token::Identifier, key) = self.take() else {
            self.position -= 1;
            return Err(format!("found '{}', expected: identifier", self.ahead().1));
        };
        check("<nil>", &key, names::label_key(&key))?;
        let ends = matches!(self.ahead().0, Token::End | Token::Comma);
        let condition = match (is_not, ends) {
            (true, _) => Condition::Absent,
            (false, true) => Condition::Exists,
            (false, false) => self.condition(&key)?,
        };
        Ok(LabelRequirement { key: Text::from(key), condition })
    }

    fn condition(&mut self, key: &str) -> Result<Condition, String> {
        let (operator, found) = self.raw();
        self.position += 1;
        let condition = match operator {
            Token::In => Condition::In(self.values()?),
            Token::NotIn => Condition::NotIn(self.values()?),
            Token::Equals => Condition::In(vec![self.value()?]),
            Token::NotEquals => Condition::NotIn(vec![self.value()?]),
            Token::Greater | Token::Less => {
                let value = self.value()?;
                let number = value.parse().map_err(|_| {
                    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                    format!("values[0]: Invalid value: {:?}: {detail}", value.as_str())
                })?;
                if operator == Token::Greater { Condition::Greater(number) } else { Condition::Less(number) }
            }
            Token::End | Token::Identifier | Token::Comma | Token::Not | Token::Open | Token::Closed => {
                return Err(format!("found '{found}', expected: {OPERATORS}"));
            }
        };
        if let Condition::In(values) | Condition::NotIn(values) = &condition {
            for (index, value) in values.iter().enumerate() {
                check(&format!("values[{index}][{key}]"), value, names::label_value(value))?;
            }
        }
        Ok(condition)
    }

    fn value(&mut self) -> Result<Text, String> {
        match self.ahead() {
            (Token::End | Token::Comma, _) => Ok(Text::default()),
            (Token::Identifier, value) => {
                self.position += 1;
                Ok(Text::from(value))
            }
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    /// A list in parentheses; nothing between commas is an empty value.
    fn values(&mut self) -> Result<Vec<Text>, String> {
        let (Token::Open, _) = self.ahead() else {
            return Err(format!("found '{}' expected: '('", self.ahead().1));
        };
        self.position += 1;
        let mut values = Vec::new();
        match self.ahead() {
            (Token::Identifier | Token::Comma, _) => {}
            (Token::Closed, _) => {
                self.position += 1;
                return Ok(values);
            }
            (_, found) => return Err(format!("found '{found}', expected: ',', ')' or identifier")),
        }
        loop {
            match self.take() {
                (Token::Identifier, value) => {
                    values.push(Text::from(value));
                    match self.ahead() {
                        (Token::Comma, _) => {}
                        (Token::Closed, _) => break,
                        (_, found) => return Err(format!("found '{found}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.push(Text::default());
                    }
                    match self.ahead() {
                        (Token::Closed, _) => {
                            values.push(Text::default());
                            break;
                        }
                        (Token::Comma, _) => {
                            self.position += 1;
                            values.push(Text::default());
                        }
                        _ => {}
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',', or identifier")),
            }
        }
        self.position += 1;
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn check(place: &str, value: &str, wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{place}: Invalid value: {value:?}: {}", wrong.join("; ")))
}

fn tokens(text: &str) -> Vec<(Token, String)> {
    let letters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    loop {
        while letters.get(at).is_some_and(|letter| matches!(letter, ' ' | '\t' | '\r' | '\n')) {
            at += 1;
        }
        // A zero byte is the end of the text to the server's reader too.
        let Some(first) = letters.get(at).filter(|letter| **letter != '\0') else { return tokens };
        let start = at;
        at += 1;
        if SPECIAL.contains(first) {
            let second = letters.get(at).copied();
            if let ('=' | '!', Some('=')) = (*first, second) {
                at += 1;
            }
            let word: String = letters.get(start..at).unwrap_or_default().iter().collect();
            tokens.push((special(&word), word));
            continue;
        }
        let is_inside =
            |letter: &char| !SPECIAL.contains(letter) && !matches!(letter, ' ' | '\t' | '\r' | '\n' | '\0');
        while letters.get(at).is_some_and(is_inside) {
            at += 1;
        }
        let word: String = letters.get(start..at).unwrap_or_default().iter().collect();
        // It ends a word and is passed over.
        if letters.get(at) == Some(&'\0') {
            at += 1;
        }
        let token = match word.as_str() {
            "in" => Token::In,
            "notin" => Token::NotIn,
            _ => Token::Identifier,
        };
        tokens.push((token, word));
    }
}

fn special(word: &str) -> Token {
    match word {
        "=" | "==" => Token::Equals,
        "!=" => Token::NotEquals,
        "!" => Token::Not,
        "(" => Token::Open,
        ")" => Token::Closed,
        "," => Token::Comma,
        ">" => Token::Greater,
        _ => Token::Less,
    }
}
