//! The plug-in engine behind both libraries: handles, thread rule, panic guard, logging, status mapping
