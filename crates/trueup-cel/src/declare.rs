//! What an expression may name: variables, structs, and the functions of the library.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use trueup_object::value::Text;

use crate::kind::Type;

/// What an expression may name beside the library.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    variables: BTreeMap<Text, Type>,
    structs: BTreeMap<Text, BTreeMap<Text, Type>>,
    patches: bool,
}

/// One form of a function.
#[derive(Debug, Clone)]
pub(crate) struct Overload {
    pub(crate) is_member: bool,
    pub(crate) args: Vec<Type>,
    pub(crate) result: Type,
    /// How many parameters its types have.
    pub(crate) n_params: u8,
}

impl Declarations {
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, its: Type) -> Self {
        self.variables.insert(Text::from(name), its);
        self
    }

    /// Declares a struct with its fields.
    #[must_use]
    pub fn with_struct<'a>(mut self, name: &str, fields: impl IntoIterator<Item = (&'a str, Type)>) -> Self {
        self.add_struct(name, fields);
        self
    }

    pub fn add_struct<'a>(&mut self, name: &str, fields: impl IntoIterator<Item = (&'a str, Type)>) {
        let fields = fields.into_iter().map(|(field, its)| (Text::from(field), its)).collect();
        self.structs.insert(Text::from(name), fields);
    }

    /// Declares one more field of a struct.
    pub fn add_field(&mut self, name: &str, field: &str, its: Type) {
        self.structs.entry(Text::from(name)).or_default().insert(Text::from(field), its);
    }

    /// Allows what a patch is made of: `Object{...}`, `Object.spec{...}`, `JSONPatch{...}`.
    #[must_use]
    pub fn with_patches(mut self) -> Self {
        self.patches = true;
        self
    }

    /// The type of what a name stands for.
    pub(crate) fn ident(&self, name: &str) -> Option<Type> {
        if let Some(its) = self.variables.get(name) {
            return Some(its.clone());
        }
        if let Some(named) = Type::named(name) {
            return Some(Type::of(named));
        }
        let is_struct = self.structs.contains_key(name)
            || (self.patches && (is_patch_object(name) || name == JSON_PATCH))
            || LIBRARY_TYPES.contains(&name);
        is_struct.then(|| Type::of(Type::Object(Text::from(name))))
    }

    /// The type of a struct's field: nothing where there is no such struct, or (inside) no such field.
    pub(crate) fn field(&self, name: &str, field: &str) -> Option<Option<Type>> {
        if let Some(fields) = self.structs.get(name) {
            return Some(fields.get(field).cloned());
        }
        if self.patches && name == JSON_PATCH {
            return Some(match field {
                "op" | "path" | "from" => Some(Type::String),
                "value" => Some(Type::Dyn),
                _ => None,
            });
        }
        (self.patches && is_patch_object(name)).then_some(Some(Type::Dyn))
    }

    pub(crate) fn overloads(&self, function: &str) -> Option<&'static [Overload]> {
        if function == "jsonpatch.escapeKey" && !self.patches {
            return None;
        }
        functions().get(function).map(Vec::as_slice)
    }
}

/// What JSON patches are made of.
pub(crate) const JSON_PATCH: &str = "JSONPatch";

/// Whether a name is that of a part of an object that a patch gives.
pub(crate) fn is_patch_object(name: &str) -> bool {
    name == "Object" || name.starts_with("Object.")
}

/// The types of the library that have a name in expressions.
const LIBRARY_TYPES: [&str; 11] = [
    "kubernetes.URL",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.NamedFormat",
    "net.IP",
    "net.CIDR",
    "kubernetes.authorization.Authorizer",
    "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.GroupCheck",
    "kubernetes.authorization.ResourceCheck",
    "kubernetes.authorization.Decision",
];

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Vec<Overload>>> = LazyLock::new(read_functions);

/// All functions with their forms.
pub(crate) fn functions() -> &'static BTreeMap<&'static str, Vec<Overload>> {
    &FUNCTIONS
}

const COMPARABLE: [&str; 8] = ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"];
const SUMMABLE: [&str; 4] = ["int", "uint", "double", "duration"];

fn read_functions() -> BTreeMap<&'static str, Vec<Overload>> {
    let mut functions: BTreeMap<&'static str, Vec<Overload>> = BTreeMap::new();
    for line in include_str!("functions.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((name, signature)) = line.split_once(' ') else { continue };
        let forms = functions.entry(name).or_default();
        if signature.contains('$') {
            forms.extend(COMPARABLE.iter().filter_map(|it| read_overload(&signature.replace('$', it))));
        } else if signature.contains('#') {
            forms.extend(SUMMABLE.iter().filter_map(|it| read_overload(&signature.replace('#', it))));
        } else {
            forms.extend(read_overload(signature));
        }
    }
    functions
}

fn read_overload(signature: &str) -> Option<Overload> {
    let (before, result) = signature.split_once(" -> ")?;
    let mut reader = Reader { rest: before, n_params: 0 };
    let mut args = Vec::new();
    let is_member = !before.starts_with('(');
    if is_member {
        args.push(reader.read()?);
        reader.rest = reader.rest.strip_prefix('.')?;
    }
    reader.rest = reader.rest.strip_prefix('(')?;
    while !reader.rest.starts_with(')') {
        args.push(reader.read()?);
        reader.rest = reader.rest.trim_start_matches([',', ' ']);
    }
    reader.rest = result;
    let result = reader.read()?;
    Some(Overload { is_member, args, result, n_params: reader.n_params })
}

/// Reads types.
struct Reader<'a> {
    rest: &'a str,
    n_params: u8,
}

impl Reader<'_> {
    fn read(&mut self) -> Option<Type> {
        let is_word = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.');
        let end = self.rest.find(|it| !is_word(it)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        // The dot between a target and its arguments belongs to neither.
        let (word, rest) = match word.strip_suffix('.') {
            Some(word) => (word, &self.rest[end - 1..]),
            None => (word, rest),
        };
        self.rest = rest;
        let params = if matches!(word, "list" | "map" | "optional_type" | "type") {
            self.params()?
        } else {
            Vec::new()
        };
        let mut params = params.into_iter();
        Some(match word {
            "list" => Type::list(params.next()?),
            "map" => Type::map(params.next()?, params.next()?),
            "optional_type" => Type::optional(params.next()?),
            "type" => Type::of(params.next()?),
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "A" | "B" => {
                let number = word.as_bytes()[0] - b'A';
                self.n_params = self.n_params.max(number + 1);
                Type::Param(number)
            }
            _ => Type::named(word).unwrap_or_else(|| Type::Object(Text::from(word))),
        })
    }

    fn params(&mut self) -> Option<Vec<Type>> {
        self.rest = self.rest.strip_prefix('(')?;
        let mut params = Vec::new();
        while !self.rest.starts_with(')') {
            params.push(self.read()?);
            self.rest = self.rest.trim_start_matches([',', ' ']);
        }
        self.rest = self.rest.strip_prefix(')')?;
        Some(params)
    }
}
