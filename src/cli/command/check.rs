//! `tollgate check`: every mistake of a configuration file, with its place and its cure.

use std::path::PathBuf;

use tollgate_core::config::deploy::Checked;

use crate::config;

/// Says whether a configuration file is fit for use, and if not, everything that is wrong with it.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The file.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
}

/// Prints one line where all is well; otherwise the error is the report.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    #[allow(clippy::print_stdout, reason = "the answer of a command")]
    {
        println!("{}", summary(&args.config.display().to_string(), &checked));
    }
    Ok(())
}

fn summary(file: &str, checked: &Checked) -> String {
    let gateway = &checked.gateway;
    format!(
        "{file}: no mistakes ({}, {}, {})",
        counted(gateway.providers.len(), "provider"),
        counted(gateway.models.len(), "model"),
        counted(gateway.keys.len(), "key"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.yaml");
        std::fs::write(&config, text).unwrap();
        let place = folder.path().display().to_string();
        run(&Args { config }).map_err(|report| report.replace(&place, "."))
    }

    #[test]
    fn a_good_file_is_summed_up_and_a_bad_one_told_all_its_mistakes() {
        let example = include_str!("../../../envoy/gateway.yaml");
        assert_eq!(answer(example), Ok(()));
        let two = example
            .replace(
                "provider: beta, model: beta-small",
                "provider: bet, model: beta-small",
            )
            .replace("models: [local]", "models: [locl]");
        let lines: Vec<usize> = two
            .lines()
            .zip(1..)
            .filter(|(line, _)| line.contains("bet,") || line.contains("locl"))
            .map(|(_, number)| number)
            .collect();
        let [first, second] = *lines else {
            panic!("{lines:?}");
        };
        let want = format!(
            "./gateway.yaml:{first}: models.small.targets[1].provider: no provider is named `bet`\n    \
             fix: write `beta`, or add `bet` under `providers`\n\
             ./gateway.yaml:{second}: tenants.keys[1].models[0]: no model is named `locl`\n    \
             fix: write `local`, or add `locl` under `models`\n\
             ./gateway.yaml: 2 mistakes"
        );
        assert_eq!(answer(&two), Err(want));
    }

    #[test]
    fn the_summary_counts_what_there_is() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../envoy/gateway.openai.yaml"
        );
        let checked = config::load(file.as_ref()).unwrap();
        assert_eq!(
            summary("gateway.yaml", &checked),
            "gateway.yaml: no mistakes (1 provider, 3 models, 1 key)"
        );
    }
}
