//! NetBackup's side: its processes, jobs and catalogue, replaying scenarios against a plug-in
