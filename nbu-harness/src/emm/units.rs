//! The database's rules about storage units, their groups, and storage lifecycle policies. The three share one space of
//! names, because a policy names its storage by any of them.

use super::Database;
use super::destination::{LifecyclePolicy, Operation, StorageUnit, StorageUnitGroup, UseFor};
use super::error::{EmmError, Kind};
use super::settings::Settings;
use super::table::{Table, checked_name};
use crate::nearest::nearest;

/// Smallest fragment size in MiB.
const MIN_FRAGMENT_MB: u64 = 20;

/// Values of a storage unit; what is `None` stays as it is, or is the default of a new unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitValues {
    /// Disk pool; a new unit needs one.
    pub pool: Option<String>,
    /// Media servers that may use it; empty means any with credentials.
    pub media_servers: Option<Vec<String>>,
    /// Concurrent jobs; 0 disables it.
    pub max_concurrent_jobs: Option<u32>,
    /// Fragment size in MiB, from 20 to 524 288.
    pub max_fragment_mb: Option<u64>,
    /// Only for policies that name it.
    pub on_demand_only: Option<bool>,
}

impl Database {
    /// A storage unit.
    ///
    /// # Errors
    /// When there is none of that label.
    pub fn storage_unit(&self, label: &str) -> Result<&StorageUnit, EmmError> {
        self.storage_units.get(Kind::StorageUnit, label)
    }

    /// A storage unit group.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn storage_unit_group(&self, name: &str) -> Result<&StorageUnitGroup, EmmError> {
        self.storage_unit_groups.get(Kind::StorageUnitGroup, name)
    }

    /// A storage lifecycle policy.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn lifecycle_policy(&self, name: &str) -> Result<&LifecyclePolicy, EmmError> {
        self.lifecycle_policies.get(Kind::LifecyclePolicy, name)
    }

    /// Adds a storage unit.
    ///
    /// # Errors
    /// When the label is none that can be or is taken, a value is out of its range, or there is no such pool or media
    /// server.
    pub fn add_storage_unit(
        &mut self,
        label: &str,
        values: &UnitValues,
        settings: &Settings,
    ) -> Result<(), EmmError> {
        checked_name(Kind::StorageUnit, label)?;
        self.free_name(label)?;
        let unit = StorageUnit {
            label: label.into(),
            pool: String::new(),
            media_servers: Vec::new(),
            max_concurrent_jobs: settings.max_concurrent_jobs,
            max_fragment_mb: settings.max_fragment_mb,
            on_demand_only: false,
        };
        let unit = self.with_values(unit, values)?;
        self.storage_units.add(Kind::StorageUnit, label, unit)
    }

    /// Changes a storage unit.
    ///
    /// # Errors
    /// When there is no such unit, pool or media server, or a value is out of its range.
    pub fn update_storage_unit(&mut self, label: &str, values: &UnitValues) -> Result<(), EmmError> {
        let unit = self.with_values(self.storage_unit(label)?.clone(), values)?;
        self.storage_units.put(label, unit);
        Ok(())
    }

    fn with_values(&self, mut unit: StorageUnit, values: &UnitValues) -> Result<StorageUnit, EmmError> {
        if let Some(pool) = &values.pool {
            unit.pool.clone_from(pool);
        }
        self.disk_pool(&unit.pool)?;
        if let Some(servers) = &values.media_servers {
            servers.iter().try_for_each(|name| self.media_server(name).map(|_| ()))?;
            unit.media_servers.clone_from(servers);
        }
        let fragment = values.max_fragment_mb.unwrap_or(unit.max_fragment_mb);
        if !(MIN_FRAGMENT_MB..=524_288).contains(&fragment) {
            return Err(EmmError::bad("as a fragment size", &fragment, "20 to 524288 MiB"));
        }
        unit.max_fragment_mb = fragment;
        unit.max_concurrent_jobs = values.max_concurrent_jobs.unwrap_or(unit.max_concurrent_jobs);
        unit.on_demand_only = values.on_demand_only.unwrap_or(unit.on_demand_only);
        Ok(unit)
    }

    /// Takes a storage unit out, unless a group or a lifecycle policy uses it.
    ///
    /// # Errors
    /// When there is none of that label, or something uses it.
    pub fn remove_storage_unit(&mut self, label: &str) -> Result<StorageUnit, EmmError> {
        self.storage_unit(label)?;
        if let Some(group) = self.storage_unit_groups.iter().find(|g| g.units.iter().any(|u| u == label)) {
            let by = format!("{} {}", Kind::StorageUnitGroup, group.name);
            return Err(EmmError::InUse { kind: Kind::StorageUnit, name: label.into(), by });
        }
        self.no_lifecycle_uses(Kind::StorageUnit, label)?;
        self.storage_units.remove(Kind::StorageUnit, label)
    }

    /// Adds a storage unit group.
    ///
    /// # Errors
    /// When the name is none that can be or is taken, a unit is not there or is there twice, or there is none.
    pub fn add_storage_unit_group(&mut self, group: StorageUnitGroup) -> Result<(), EmmError> {
        checked_name(Kind::StorageUnitGroup, &group.name)?;
        self.free_name(&group.name)?;
        if group.units.is_empty() {
            return Err(EmmError::bad("as a storage unit group", &group.name, "at least one storage unit"));
        }
        for (at, unit) in group.units.iter().enumerate() {
            self.storage_unit(unit)?;
            if group.units[..at].contains(unit) {
                return Err(EmmError::bad("twice in one group", &unit, "every storage unit once"));
            }
        }
        let name = group.name.clone();
        self.storage_unit_groups.add(Kind::StorageUnitGroup, &name, group)
    }

    /// Takes a storage unit group out, unless a lifecycle policy uses it.
    ///
    /// # Errors
    /// When there is none of that name, or a lifecycle policy uses it.
    pub fn remove_storage_unit_group(&mut self, name: &str) -> Result<StorageUnitGroup, EmmError> {
        self.storage_unit_group(name)?;
        self.no_lifecycle_uses(Kind::StorageUnitGroup, name)?;
        self.storage_unit_groups.remove(Kind::StorageUnitGroup, name)
    }

    /// Adds a storage lifecycle policy, or a new version of one. Returns the version.
    ///
    /// # Errors
    /// When the name is none that can be or is that of a unit or group, or the operations cannot run.
    pub fn put_lifecycle_policy(&mut self, name: &str, operations: Vec<Operation>) -> Result<u32, EmmError> {
        checked_name(Kind::LifecyclePolicy, name)?;
        let known = self.lifecycle_policies.find(name).map(|known| known.version);
        if known.is_none() {
            self.free_name(name)?;
        }
        let version = known.map_or(0, |version| version + 1);
        self.check_operations(name, &operations)?;
        self.lifecycle_policies.put(name, LifecyclePolicy { name: name.into(), version, operations });
        Ok(version)
    }

    /// Adds a storage lifecycle policy that is not there yet.
    ///
    /// # Errors
    /// As [`Self::put_lifecycle_policy`], and when there is one already.
    pub fn add_lifecycle_policy(&mut self, name: &str, operations: Vec<Operation>) -> Result<(), EmmError> {
        self.free_name(name)?;
        self.put_lifecycle_policy(name, operations).map(|_| ())
    }

    /// Takes a storage lifecycle policy out.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove_lifecycle_policy(&mut self, name: &str) -> Result<LifecyclePolicy, EmmError> {
        self.lifecycle_policies.remove(Kind::LifecyclePolicy, name)
    }

    fn check_operations(&self, name: &str, operations: &[Operation]) -> Result<(), EmmError> {
        let bad = |at: usize, expected: String| {
            EmmError::bad(
                format!("as operation {} of {} {name}", at + 1, Kind::LifecyclePolicy),
                &(at + 1),
                expected,
            )
        };
        if operations.is_empty() {
            let what = format!("as a {}", Kind::LifecyclePolicy);
            return Err(EmmError::bad(what, &name, "at least one operation"));
        }
        for (at, operation) in operations.iter().enumerate() {
            let first = matches!(operation.use_for, UseFor::Backup | UseFor::Snapshot | UseFor::Import);
            match operation.source {
                Some(_) if first => {
                    return Err(bad(at, format!("{} has no source", operation.use_for.words())));
                }
                None if !first => {
                    return Err(bad(
                        at,
                        format!("{} needs the operation it copies from", operation.use_for.words()),
                    ));
                }
                Some(source) if source >= at => {
                    return Err(bad(at, format!("its source, {}, must come before it", source + 1)));
                }
                _ => {}
            }
            if operation.use_for != UseFor::Replication {
                self.storage(&operation.storage)?;
            }
        }
        Ok(())
    }

    /// A storage unit or group must have the name.
    fn storage(&self, name: &str) -> Result<(), EmmError> {
        if self.storage_units.find(name).is_some() || self.storage_unit_groups.find(name).is_some() {
            return Ok(());
        }
        let units = self.storage_units.iter().map(|unit| unit.label.as_str());
        let names = units.chain(self.storage_unit_groups.iter().map(|group| group.name.as_str()));
        let nearest = nearest(name, names).map(str::to_owned);
        Err(EmmError::NoSuch { kind: Kind::Storage, name: name.into(), nearest })
    }

    fn free_name(&self, name: &str) -> Result<(), EmmError> {
        fn taken<T>(kind: Kind, table: &Table<T>, name: &str) -> Option<Kind> {
            table.find(name).map(|_| kind)
        }
        let kind = taken(Kind::StorageUnit, &self.storage_units, name)
            .or_else(|| taken(Kind::StorageUnitGroup, &self.storage_unit_groups, name))
            .or_else(|| taken(Kind::LifecyclePolicy, &self.lifecycle_policies, name));
        kind.map_or(Ok(()), |kind| Err(EmmError::Exists { kind, name: name.into() }))
    }

    fn no_lifecycle_uses(&self, kind: Kind, name: &str) -> Result<(), EmmError> {
        let uses = |policy: &&LifecyclePolicy| {
            policy.operations.iter().any(|o| o.use_for != UseFor::Replication && o.storage == name)
        };
        match self.lifecycle_policies.iter().find(uses) {
            Some(policy) => {
                let by = format!("{} {}", Kind::LifecyclePolicy, policy.name);
                Err(EmmError::InUse { kind, name: name.into(), by })
            }
            None => Ok(()),
        }
    }
}
