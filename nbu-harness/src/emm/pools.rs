//! The database's rules about disk pools and their volumes.

use super::error::{EmmError, Kind};
use super::model::{DiskPool, DiskVolume, VolumeReport};
use super::settings::Settings;
use super::table::checked_name;
use super::{Database, StateChange, States};

/// A pool that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPool {
    /// Name.
    pub name: String,
    /// Storage server with its type.
    pub storage_server: String,
    /// Its volumes, at least one.
    pub volumes: Vec<VolumeReport>,
    /// Values that are not the default.
    pub values: PoolValues,
}

/// Values of a pool that an administrator sets; what is `None` stays as it is, or is the default of a new pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolValues {
    /// High water mark in percent, 1 to 100.
    pub high_water_mark: Option<u8>,
    /// Low water mark in percent, less than the high one.
    pub low_water_mark: Option<u8>,
    /// I/O streams per volume, from 1; -1 is unlimited.
    pub max_io_streams: Option<i32>,
    /// A comment.
    pub comment: Option<String>,
}

/// The media id with a number, from 1: `@aaaab`, `@aaaac`, and on in letters.
fn media_id(mut number: u64) -> String {
    let mut letters = [b'a'; 5];
    for letter in letters.iter_mut().rev() {
        *letter = b'a' + u8::try_from(number % 26).unwrap_or(0);
        number /= 26;
    }
    // Longer than NetBackup's after twelve million volumes, and still nobody else's.
    let more = if number > 0 { number.to_string() } else { String::new() };
    format!("@{}{more}", String::from_utf8_lossy(&letters))
}

impl PoolValues {
    fn apply(&self, pool: &mut DiskPool) -> Result<(), EmmError> {
        let high = self.high_water_mark.unwrap_or(pool.high_water_mark);
        let low = self.low_water_mark.unwrap_or(pool.low_water_mark);
        let streams = self.max_io_streams.unwrap_or(pool.max_io_streams);
        if !(1..=100).contains(&high) {
            return Err(EmmError::bad("as a high water mark", &high, "1 to 100 percent"));
        }
        if low >= high {
            return Err(EmmError::bad(
                "as a low water mark",
                &low,
                format!("less than the high one, {high}"),
            ));
        }
        if streams != -1 && streams < 1 {
            return Err(EmmError::bad(
                "as a number of I/O streams",
                &streams,
                "1 or more, or -1 for unlimited",
            ));
        }
        (pool.high_water_mark, pool.low_water_mark, pool.max_io_streams) = (high, low, streams);
        if let Some(comment) = &self.comment {
            pool.comment.clone_from(comment);
        }
        Ok(())
    }
}

impl Database {
    /// Adds a disk pool; its volumes get media ids. A volume belongs to one pool at most.
    ///
    /// # Errors
    /// When a name or value is none that can be, the name is taken, there is no such storage server, or a volume belongs to
    /// another pool.
    pub fn add_disk_pool(&mut self, new: &NewPool, settings: &Settings) -> Result<(), EmmError> {
        checked_name(Kind::DiskPool, &new.name)?;
        if self.disk_pools.find(&new.name).is_some() {
            return Err(EmmError::Exists { kind: Kind::DiskPool, name: new.name.clone() });
        }
        let server = self.storage_server(&new.storage_server)?;
        if new.volumes.is_empty() {
            return Err(EmmError::bad("as the volumes of a disk pool", &"", "at least one volume"));
        }
        let mut pool = DiskPool {
            name: new.name.clone(),
            storage_server: new.storage_server.clone(),
            volumes: Vec::new(),
            high_water_mark: settings.high_water_mark,
            low_water_mark: settings.low_water_mark,
            max_io_streams: settings.max_io_streams,
            states: States::default(),
            flags: server.flags.clone(),
            comment: String::new(),
        };
        new.values.apply(&mut pool)?;
        self.extend(&mut pool, &new.volumes)?;
        self.disk_pools.add(Kind::DiskPool, &new.name, pool)
    }

    fn extend(&mut self, pool: &mut DiskPool, volumes: &[VolumeReport]) -> Result<(), EmmError> {
        for report in volumes {
            let others = self.disk_pools.iter().filter(|other| other.storage_server == pool.storage_server);
            if let Some(other) = others.chain([&*pool]).find(|other| other.volume(&report.name).is_some()) {
                let by = format!("{} {}", Kind::DiskPool, other.name);
                return Err(EmmError::InUse { kind: Kind::DiskVolume, name: report.name.clone(), by });
            }
            pool.volumes.push(DiskVolume {
                media_id: String::new(),
                states: States::default(),
                report: report.clone(),
            });
        }
        for volume in pool.volumes.iter_mut().filter(|volume| volume.media_id.is_empty()) {
            self.media_ids += 1;
            volume.media_id = media_id(self.media_ids);
        }
        Ok(())
    }

    /// Changes values of a disk pool.
    ///
    /// # Errors
    /// When there is no such pool, or a value is out of its range.
    pub fn update_disk_pool(&mut self, name: &str, values: &PoolValues) -> Result<(), EmmError> {
        values.apply(self.disk_pools.get_mut(Kind::DiskPool, name)?)
    }

    /// Changes the state of a disk pool.
    ///
    /// # Errors
    /// When there is no such pool.
    pub fn change_pool_state(&mut self, name: &str, change: StateChange) -> Result<(), EmmError> {
        change.apply(&mut self.disk_pools.get_mut(Kind::DiskPool, name)?.states);
        Ok(())
    }

    /// Changes the state of a disk volume.
    ///
    /// # Errors
    /// When there is no such pool or volume.
    pub fn change_volume_state(
        &mut self,
        pool: &str,
        volume: &str,
        change: StateChange,
    ) -> Result<(), EmmError> {
        let pool = self.disk_pools.get_mut(Kind::DiskPool, pool)?;
        let names: Vec<_> = pool.volumes.iter().map(|v| v.report.name.as_str()).collect();
        let nearest = crate::nearest::nearest(volume, names).map(str::to_owned);
        match pool.volumes.iter_mut().find(|v| v.report.name == volume) {
            Some(found) => change.apply(&mut found.states),
            None => return Err(EmmError::NoSuch { kind: Kind::DiskVolume, name: volume.into(), nearest }),
        }
        Ok(())
    }

    /// Takes a disk pool out, unless a storage unit uses it.
    ///
    /// # Errors
    /// When there is none of that name, or a storage unit uses it.
    pub fn remove_disk_pool(&mut self, name: &str) -> Result<DiskPool, EmmError> {
        self.disk_pool(name)?;
        match self.storage_units.iter().find(|unit| unit.pool == name) {
            Some(unit) => {
                let by = format!("{} {}", Kind::StorageUnit, unit.label);
                Err(EmmError::InUse { kind: Kind::DiskPool, name: name.into(), by })
            }
            None => self.disk_pools.remove(Kind::DiskPool, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::media_id;

    #[test]
    fn media_ids_count_in_letters() {
        let ids = [1, 2, 25, 26, 11_881_375, 11_881_376].map(media_id);
        assert_eq!(ids, ["@aaaab", "@aaaac", "@aaaaz", "@aaaba", "@zzzzz", "@aaaaa1"]);
    }
}
