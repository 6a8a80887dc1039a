//! Backup images on an object store: life cycle, layout, integrity
