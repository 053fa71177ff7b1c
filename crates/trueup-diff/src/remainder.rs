//! Takes the table of what live has that nobody declares and nobody owns.

use trueup_merge::{Managed, TypeRef};
use trueup_object::{FieldManager, FieldPath, Value};

use crate::align::Sides;
use crate::normalise::in_form;
use crate::owners::Owners;
use crate::unowned::UnownedTable;
use crate::walk::{Unowned, Walk};

/// The undeclared remainder of a live object that no manager owns. To be taken right after a sync, and anew when the
/// server's version or the kind's schema changes. `except`: paths that are known to have come from elsewhere and are left
/// out with all that is under them, so that they are found again.
pub fn unowned_table(
    live: &Value,
    target: &Value,
    managed: &Managed<'_>,
    ty: TypeRef<'_>,
    secret_key: &[u8; 32],
    except: &[FieldPath],
) -> UnownedTable {
    let (live, target) = (in_form(live), in_form(target));
    // Whose manager is ours makes no difference: whatever any manager owns is left out.
    let nobody = FieldManager::new("");
    let owners = Owners { managed, ours: &nobody, schema_known: true };
    let mut walk = Walk::new(owners, Unowned::Collect { entries: Vec::new(), except }, secret_key);
    walk.object(Sides { target: Some(&target), live: Some(&live), base: None }, ty);
    match walk.unowned {
        Unowned::Collect { entries, except: _ } => UnownedTable::new(entries),
        Unowned::Judge(_) => UnownedTable::default(),
    }
}
