//! User quotas: rows of `userquotas`, each for one user of one quota, and a quota's limits for everybody else.

use super::registry::{Row, flag, number, text};
use super::state::State;

/// The field of a quota with the limits of users who have none of their own.
const FOR_ALL_OTHERS: &str = "default_user_quota";

/// Whether a row is about a user, rather than a group or a role.
fn is_of_user(row: &Row) -> bool {
    !flag(row, "is_group") && !flag(row, "is_iam_role")
}

impl State {
    /// The user quotas below a quota.
    pub(crate) fn user_quotas(&self, quota: u64) -> impl Iterator<Item = (u64, &Row)> {
        let of_quota = move |row: &Row| number(row, "quota_id") == Some(quota) && is_of_user(row);
        self.vms.rows("userquotas").filter(move |(_, row)| of_quota(row))
    }

    /// The name of the user whom a user quota is for: by name, or by a number or SID of theirs.
    pub(crate) fn user_of_quota<'s>(&'s self, row: &'s Row) -> &'s str {
        if !text(row, "name").is_empty() {
            return text(row, "name");
        }
        let wanted = text(row, "identifier");
        let is_it = |user: &Row| {
            let by_number = |f: &str| number(user, f).is_some_and(|n| n.to_string() == wanted);
            text(user, "name") == wanted
                || text(user, "sid") == wanted
                || ["uid", "vid"].iter().any(|f| by_number(f))
        };
        let found = self.vms.rows("users").find(|(_, user)| is_it(user));
        found.map_or(wanted, |(_, user)| text(user, "name"))
    }

    /// The limits that a quota has for a user, if any.
    pub(crate) fn user_rule<'s>(&'s self, id: u64, quota: &'s Row, user: &str) -> Option<&'s Row> {
        if user.is_empty() || !flag(quota, "is_user_quota") {
            return None;
        }
        let own = self.user_quotas(id).find(|(_, row)| self.user_of_quota(row) == user);
        own.map(|(_, row)| row).or_else(|| quota.get(FOR_ALL_OTHERS)?.as_object())
    }

    /// Forgets what users hold below a quota's path. It is counted again when somebody asks.
    pub(crate) fn forget_owners(&mut self, tenant: u64, path: &str) {
        self.files_mut(tenant).forget_owners(path);
    }
}
