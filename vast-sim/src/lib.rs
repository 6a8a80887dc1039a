//! A VAST cluster in one process: VMS REST and S3 over several VIPs
