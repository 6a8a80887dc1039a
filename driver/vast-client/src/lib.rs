//! A VAST cluster as a client sees it: VMS REST session, S3 over a pool of VIPs
