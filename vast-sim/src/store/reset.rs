//! Forgetting everything, in memory and in the journal.

use super::state::State;

impl State {
    /// Leaves nothing: no data, no VMS objects, no keys, no time that passed at once. Ids start again at 1.
    pub(crate) fn forget_everything(&mut self) {
        let snapshots: Vec<u64> = self.frozen.keys().copied().collect();
        for snapshot in snapshots {
            self.thaw(snapshot);
        }
        let tenants: Vec<u64> = self.namespaces.keys().copied().collect();
        for tenant in tenants {
            self.remove_tree(tenant, "/");
        }
        self.namespaces.clear();
        let buckets: Vec<String> = self.buckets().keys().cloned().collect();
        for bucket in buckets {
            self.remove_bucket(&bucket);
        }
        let keys: Vec<String> = self.keys().keys().cloned().collect();
        for key in keys {
            self.remove_key(&key);
        }
        self.vms.forget_everything();
        self.set_advanced_ms(0);
    }
}
