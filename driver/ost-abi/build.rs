//! With the feature `sdk`: turns the C header that `STSPI_SDK_HEADER` names into Rust, for `src/sdk`. Otherwise nothing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "sdk")]
    if let Err(why) = sdk::generate() {
        eprintln!("feature `sdk` of ost-abi: {why}");
        std::process::exit(1);
    }
}

#[cfg(feature = "sdk")]
mod sdk {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// Writes `header.rs`, the header's items, and `exports.rs`, a macro that names its prototypes.
    pub(crate) fn generate() -> Result<(), String> {
        println!("cargo:rerun-if-env-changed=STSPI_SDK_HEADER");
        let header = env::var_os("STSPI_SDK_HEADER")
            .map(PathBuf::from)
            .ok_or("set STSPI_SDK_HEADER to the C header that shall take the place of stspi.h")?;
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
        let shown = header.to_str().ok_or("STSPI_SDK_HEADER is not UTF-8")?;
        println!("cargo:rerun-if-changed={shown}");
        let folder = header.parent().unwrap_or(Path::new("."));
        let bindings = bindgen::Builder::default()
            .header(shown)
            // What the header's own folder declares, and of the system's headers only what that needs.
            .clang_arg(format!("-I{}", folder.display()))
            .allowlist_file(format!("{}/.*", escaped(&folder.to_string_lossy())))
            .prepend_enum_name(false)
            .layout_tests(false)
            .derive_debug(false)
            .use_core()
            .ctypes_prefix("::core::ffi")
            .rust_edition(bindgen::RustEdition::Edition2024)
            .generate()
            .map_err(|e| format!("{shown}: {e}"))?
            .to_string();
        fs::write(out.join("exports.rs"), exports(&bindings)?).map_err(|e| e.to_string())?;
        fs::write(out.join("header.rs"), bindings).map_err(|e| e.to_string())
    }

    /// Text as a regular expression that matches it alone.
    fn escaped(text: &str) -> String {
        text.chars().flat_map(|c| (!c.is_alphanumeric()).then_some('\\').into_iter().chain([c])).collect()
    }

    /// The prototypes of all `stspi_*` functions as the items of a macro, in the form of `for_each_entry_point`.
    fn exports(bindings: &str) -> Result<String, String> {
        let mut items = String::new();
        for function in bindings.split("pub fn ").skip(1) {
            let (name, rest) =
                function.split_once('(').ok_or("a function without arguments in the bindings")?;
            let (arguments, _) =
                rest.split_once(") ->").ok_or("a function that returns nothing in the header")?;
            let arguments = arguments.trim().trim_end_matches(',');
            items.extend(["fn ", name.trim(), "(", arguments, ");\n"]);
        }
        Ok(format!(
            "/// Calls `$callback!` with every prototype of the header as `fn name(argument: type, ...);` items.\n\
             #[macro_export]\nmacro_rules! for_each_sdk_export {{ ($($callback:tt)+) => {{ $($callback)+! {{ {items} }} }} }}\n"
        ))
    }
}
