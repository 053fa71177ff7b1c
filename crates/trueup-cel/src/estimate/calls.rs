//! What calls cost: the language's own functions, by the forms that the checker found to fit.

use super::{Argument, EntrySize, Estimator, ONE, Range, ZERO, library};
use crate::ast::{Expr, Node};
use crate::declare::Overload;
use crate::kind::Type;

/// What a call costs, and how large its result is where that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallCost {
    pub(super) cost: Range,
    pub(super) size: Option<Range>,
}

impl CallCost {
    pub(super) fn of(cost: Range) -> Self {
        Self { cost, size: None }
    }

    pub(super) fn sized(cost: Range, size: Range) -> Self {
        Self { cost, size: Some(size) }
    }
}

/// A call, its arguments costed.
pub(super) struct Call<'c, 'e> {
    pub(super) function: &'c str,
    pub(super) form: &'c Overload,
    pub(super) target: Option<&'c Argument<'e>>,
    pub(super) args: &'c [Argument<'e>],
    costs: &'c [Range],
}

impl Call<'_, '_> {
    /// The type that the form has for its first argument, what it is called on included.
    pub(super) fn first(&self) -> &Type {
        self.form.args.first().unwrap_or(&Type::Dyn)
    }
}

impl<'a> Estimator<'a> {
    pub(super) fn call(
        &mut self,
        expr: &'a Expr,
        function: &str,
        target: Option<&'a Expr>,
        args: &'a [Expr],
    ) -> Range {
        if let ("dyn", None, [arg]) = (function, target, args) {
            let cost = self.cost(arg);
            let (size, entry) = (self.size(arg), self.entry(arg));
            self.sizes.extend(size.map(|size| (expr.id, size)));
            self.entries.extend(entry.map(|entry| (expr.id, entry)));
            return cost.add(ONE);
        }
        if function == "_?._" {
            // The field is no argument that costs something.
            let operand = args.first().map_or(ZERO, |operand| self.cost(operand));
            return operand.add(ONE);
        }
        let (mut costs, mut arguments) = (Vec::with_capacity(args.len()), Vec::with_capacity(args.len()));
        for arg in args {
            costs.push(self.cost(arg));
            arguments.push(self.argument(arg));
        }
        let facts = self.facts;
        let forms: &[&'static Overload] = facts.forms.get(&expr.id).map_or(&[], Vec::as_slice);
        if forms.is_empty() {
            return ZERO;
        }
        let mut sum = ZERO;
        let target = target.map(|target| {
            sum = self.cost(target);
            self.argument(target)
        });
        let mut cost = Range { min: u64::MAX, max: 0 };
        let mut size: Option<Range> = None;
        for form in forms {
            let call = Call { function, form, target: target.as_ref(), args: &arguments, costs: &costs };
            let found = self.form(expr, &call);
            cost = cost.union(found.cost);
            size = match (size, found.size) {
                (Some(before), Some(now)) => Some(before.union(now)),
                (before, now) => now.or(before),
            };
            let step = match (function, call.first()) {
                ("_[_]", Type::List(_)) => Some("@items"),
                ("_[_]", Type::Map(_)) => Some("@values"),
                _ => None,
            };
            if let (Some(step), [value, ..]) = (step, args) {
                size = self.entry(value).map(|entry| entry.value);
                let mut path = self.path(value);
                path.push(step.into());
                self.paths.insert(expr.id, path);
            }
            size = size.or_else(|| self.size(expr));
        }
        self.sizes.extend(size.map(|size| (expr.id, size)));
        sum.add(cost)
    }

    fn form(&mut self, expr: &Expr, call: &Call<'_, 'a>) -> CallCost {
        let of_args = call.costs.iter().fold(ZERO, |sum, cost| sum.add(*cost));
        if let Some(found) = library::cost(self, call) {
            return CallCost { cost: found.cost.add(of_args), size: found.size };
        }
        let found = match (call.function, call.costs) {
            // The second side is evaluated where the first does not decide.
            ("_&&_" | "_||_", [left, right]) => {
                return CallCost::of(Range { min: left.min, max: left.add(*right).max });
            }
            ("_?_:_", [condition, yes, no]) => {
                let cost = condition.add(yes.union(*no));
                return CallCost { cost, size: self.either(expr, call.args) };
            }
            _ => self.own(expr, call).unwrap_or(CallCost::of(ONE)),
        };
        CallCost { cost: found.cost.add(of_args), size: found.size }
    }

    fn either(&mut self, expr: &Expr, args: &[Argument<'_>]) -> Option<Range> {
        let [_, yes, no] = args else { return None };
        if let (Some(yes), Some(no)) = (self.entry(yes.expr), self.entry(no.expr)) {
            self.entries.insert(expr.id, joined(yes, no));
        }
        Some(known(yes).union(known(no)))
    }

    /// Functions of the language that take longer for larger arguments.
    fn own(&mut self, expr: &Expr, call: &Call<'_, 'a>) -> Option<CallCost> {
        let is_text = matches!(call.first(), Type::String | Type::Bytes);
        match (call.function, call.target, call.args) {
            ("format", Some(target), _) => Some(CallCost::of(known(target).scaled(0.1))),
            ("bytes", None, [text]) if *call.first() == Type::String => {
                let size = known(text);
                let made = Range { min: size.min, max: size.max.saturating_mul(4) };
                Some(CallCost::sized(size.scaled(0.1), made))
            }
            ("string", None, [bytes]) if *call.first() == Type::Bytes => {
                let size = known(bytes);
                Some(CallCost::sized(size.scaled(0.1), Range { min: size.min / 4, max: size.max }))
            }
            ("strings.quote", None, [text]) => {
                let size = known(text);
                let max = size.max.saturating_mul(2).saturating_add(2);
                let quoted = Range { min: size.min.saturating_add(2), max };
                Some(CallCost::sized(size.scaled(0.1), quoted))
            }
            ("startsWith" | "endsWith", _, [part]) => Some(CallCost::of(known(part).scaled(0.1))),
            ("@in", None, [_, list]) if matches!(call.form.args.get(1), Some(Type::List(_))) => {
                Some(CallCost::of(known(list)))
            }
            ("matches", Some(target), [pattern]) => {
                let text = known(target).add(ONE).scaled(0.1);
                Some(CallCost::of(text.times(known(pattern).scaled(0.25))))
            }
            ("contains", Some(target), [part]) => {
                Some(CallCost::of(known(target).scaled(0.1).times(known(part).scaled(0.1))))
            }
            ("_+_", None, [left, right]) if is_text || matches!(call.first(), Type::List(_)) => {
                let size = known(left).add(known(right));
                if let (Some(left), Some(right)) = (self.entry(left.expr), self.entry(right.expr)) {
                    self.entries.insert(expr.id, joined(left, right));
                }
                Some(CallCost::sized(if is_text { size.scaled(0.1) } else { ONE }, size))
            }
            ("_<_" | "_<=_" | "_>_" | "_>=_", None, [left, right]) if is_text => Some(compared(left, right)),
            ("_==_" | "_!=_", None, [left, right]) => Some(compared(left, right)),
            _ => None,
        }
    }

    /// The size of an argument that the library asks about: its own, or what its schema says.
    pub(super) fn size_of(&self, argument: &Argument<'_>) -> Range {
        argument.size.or_else(|| self.bounded(&argument.path)).unwrap_or(Range::UNKNOWN)
    }

    /// The type of a list's items (or a map's keys), and how large they are.
    pub(super) fn items_of(&self, list: &Argument<'_>) -> Option<(Type, Range)> {
        let its = match &list.its {
            Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => inner.as_ref().clone(),
            Type::Map(types) => types.0.clone(),
            _ => return None,
        };
        let mut path = list.path.clone();
        if !path.is_empty() {
            path.push("@items".into());
        }
        Some((its, self.bounded(&path).unwrap_or(Range::UNKNOWN)))
    }
}

fn known(argument: &Argument<'_>) -> Range {
    argument.size.unwrap_or(Range::UNKNOWN)
}

fn joined(left: EntrySize, right: EntrySize) -> EntrySize {
    EntrySize { is_list: left.is_list, key: left.key.union(right.key), value: left.value.union(right.value) }
}

/// Two values are compared as far as the shorter goes.
fn compared(left: &Argument<'_>, right: &Argument<'_>) -> CallCost {
    let max = known(left).max.min(known(right).max);
    CallCost::of(Range { min: u64::from(max > 0), max }.scaled(0.1))
}

/// Whether a node is a number as it is written; what it is then.
pub(super) fn written_number(argument: &Argument<'_>) -> Option<u64> {
    match &argument.expr.node {
        Node::Literal(crate::ast::Literal::Int(number)) => Some(u64::try_from(*number).unwrap_or_default()),
        _ => None,
    }
}
