//! Which types fit which, and what inference has found out (`checker/types.go` of the reference implementation).

use crate::kind::Type;

/// What the variables of inference stand for. Attempts that fail are taken back.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    bound: Vec<Option<Type>>,
    /// What was there before each binding, so that it can be taken back.
    trail: Vec<(u32, Option<Type>)>,
}

impl Mapping {
    pub(crate) fn fresh(&mut self) -> Type {
        let number = u32::try_from(self.bound.len()).unwrap_or(u32::MAX);
        self.bound.push(None);
        Type::Var(number)
    }

    fn found(&self, number: u32) -> Option<&Type> {
        self.bound.get(index(number)).and_then(Option::as_ref)
    }

    fn bind(&mut self, number: u32, its: Type) {
        if let Some(slot) = self.bound.get_mut(index(number)) {
            self.trail.push((number, slot.replace(its)));
        }
    }

    fn take_back(&mut self, to: usize) {
        while self.trail.len() > to {
            let Some((number, before)) = self.trail.pop() else { break };
            if let Some(slot) = self.bound.get_mut(index(number)) {
                *slot = before;
            }
        }
    }

    /// Whether a value of one type may stand where another is wanted. What was inferred meanwhile stays only if so.
    pub(crate) fn assignable(&mut self, left: &Type, right: &Type) -> bool {
        let before = self.trail.len();
        let fits = self.fits(left, right);
        if !fits {
            self.take_back(before);
        }
        fits
    }

    pub(crate) fn all_assignable(&mut self, left: &[Type], right: &[Type]) -> bool {
        let before = self.trail.len();
        let fits =
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| self.fits(left, right));
        if !fits {
            self.take_back(before);
        }
        fits
    }

    fn fits(&mut self, left: &Type, right: &Type) -> bool {
        if let Type::Var(number) = right {
            match self.substitution(left, *number) {
                Substitution::Valid => return true,
                Substitution::Taken => return false,
                Substitution::None => {}
            }
        }
        if let Type::Var(number) = left {
            return matches!(self.substitution(right, *number), Substitution::Valid);
        }
        match (left, right) {
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null | Type::Object(_) | Type::Duration | Type::Timestamp | Type::Optional(_)
            ),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(left), Type::List(right)) | (Type::Optional(left), Type::Optional(right)) => {
                self.fits(left, right)
            }
            (Type::Map(left), Type::Map(right)) => {
                self.fits(&left.0, &right.0) && self.fits(&left.1, &right.1)
            }
            _ => left == right,
        }
    }

    /// Whether a type may be what a variable stands for; if so, it is noted.
    fn substitution(&mut self, its: &Type, number: u32) -> Substitution {
        if *its == Type::Var(number) {
            return Substitution::Valid;
        }
        if let Some(found) = self.found(number).cloned() {
            if *its == found {
                return Substitution::Valid;
            }
            if self.fits(its, &found) {
                let general = most_general(its, &found).clone();
                if self.is_free_of(number, &general) {
                    self.bind(number, general);
                }
                return Substitution::Valid;
            }
            return Substitution::Taken;
        }
        if self.is_free_of(number, its) {
            self.bind(number, its.clone());
            return Substitution::Valid;
        }
        Substitution::None
    }

    /// Whether a variable does not appear in a type, which would make the type endless.
    fn is_free_of(&self, number: u32, within: &Type) -> bool {
        match within {
            Type::Var(other) => {
                *other != number && self.found(*other).is_none_or(|found| self.is_free_of(number, found))
            }
            Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => {
                self.is_free_of(number, inner)
            }
            Type::Map(types) => self.is_free_of(number, &types.0) && self.is_free_of(number, &types.1),
            _ => true,
        }
    }

    /// A type with what its variables stand for; those that stand for nothing may be anything at the end.
    pub(crate) fn substitute(&self, its: &Type, free_is_dyn: bool) -> Type {
        match its {
            Type::Var(number) => match self.found(*number) {
                Some(found) => self.substitute(found, free_is_dyn),
                None if free_is_dyn => Type::Dyn,
                None => its.clone(),
            },
            Type::List(inner) => Type::list(self.substitute(inner, free_is_dyn)),
            Type::Optional(inner) => Type::optional(self.substitute(inner, free_is_dyn)),
            Type::Map(types) => {
                Type::map(self.substitute(&types.0, free_is_dyn), self.substitute(&types.1, free_is_dyn))
            }
            Type::Type(Some(inner)) => Type::of(self.substitute(inner, free_is_dyn)),
            _ => its.clone(),
        }
    }
}

enum Substitution {
    Valid,
    /// The variable stands for something else.
    Taken,
    None,
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The more general of two types that fit.
pub(crate) fn most_general<'a>(left: &'a Type, right: &'a Type) -> &'a Type {
    if is_equal_or_less_specific(left, right) { left } else { right }
}

fn is_equal_or_less_specific(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Dyn | Type::Var(_), _) => true,
        (_, Type::Dyn | Type::Var(_)) => false,
        (Type::List(left), Type::List(right)) | (Type::Optional(left), Type::Optional(right)) => {
            is_equal_or_less_specific(left, right)
        }
        (Type::Map(left), Type::Map(right)) => {
            is_equal_or_less_specific(&left.0, &right.0) && is_equal_or_less_specific(&left.1, &right.1)
        }
        (Type::Type(_), Type::Type(_)) => true,
        _ => left == right,
    }
}

/// The forms of a function with its type parameters replaced by variables.
pub(crate) fn instantiate(its: &Type, variables: &[Type]) -> Type {
    match its {
        Type::Param(number) => variables.get(usize::from(*number)).cloned().unwrap_or(Type::Dyn),
        Type::List(inner) => Type::list(instantiate(inner, variables)),
        Type::Optional(inner) => Type::optional(instantiate(inner, variables)),
        Type::Map(types) => Type::map(instantiate(&types.0, variables), instantiate(&types.1, variables)),
        Type::Type(Some(inner)) => Type::of(instantiate(inner, variables)),
        _ => its.clone(),
    }
}
