//! What surrounds the commands: standard output, environment variables, proxies, and the shell that the README's
//! lines are pasted into.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::fs::File;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

#[path = "shared/executable.rs"]
mod executable;

use executable::serin;

/// A folder with the demo models in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let trained = serin(folder.path()).args(["train", "--models", "."]).output().unwrap();
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `/dev/full` is a disk without space.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_on_standard_output_is_an_error_and_no_panic() {
    let folder = folder();
    for arguments in [
        &["inspect", "model_v1.bin"][..],
        &["train", "--models", "."],
        &["config", "show"],
        &["power", "--difference-ms", "10", "--std-ms", "15"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let Output { status, stderr, .. } =
            serin(folder.path()).args(arguments).stdout(full).output().unwrap();
        let stderr = text(&stderr);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("serin: cannot write to standard output: No space left on device"),
            "{arguments:?}: {stderr}"
        );
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() {
    let folder = folder();
    let mut command = serin(folder.path());
    command.args(["inspect", "model_v1.bin"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn an_empty_environment_variable_counts_as_unset() {
    let folder = folder();
    let shown = |variables: &[&str]| {
        let mut command = serin(folder.path());
        variables.iter().for_each(|name| {
            command.env(name, "");
        });
        let output = command.args(["config", "show"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let variables = ["SERIN_LISTEN", "SERIN_STORE", "SERIN_ADMIN_TOKEN", "SERIN_CANARY_DEADLINE"];
    assert_eq!(shown(&variables), shown(&[]));
    let power = serin(folder.path())
        .env("SERIN_POWER_ALPHA", "")
        .args(["power", "--difference-ms", "10", "--std-ms", "15"])
        .output()
        .unwrap();
    assert!(power.status.success(), "{}", text(&power.stderr));
}

/// A proxy cannot reach this machine, and it would see the admin token.
#[test]
fn a_command_for_this_machine_asks_no_proxy() {
    let folder = folder();
    let listener = |asked: &'static AtomicUsize| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                asked.fetch_add(1, Ordering::SeqCst);
                // The request is read, so that closing the connection does not reset it.
                let _ = stream.unwrap().read(&mut [0; 1024]);
            }
        });
        address
    };
    static PROXY: AtomicUsize = AtomicUsize::new(0);
    static SERVER: AtomicUsize = AtomicUsize::new(0);
    let (proxy, server) = (listener(&PROXY), listener(&SERVER));
    let variables =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    for variable in variables {
        let output = serin(folder.path())
            .env(variable, format!("http://{proxy}"))
            .args(["status", "--url", &format!("http://{server}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "this server does not answer");
    }
    assert_eq!(PROXY.load(Ordering::SeqCst), 0);
    assert!(SERVER.load(Ordering::SeqCst) >= variables.len());
}

/// bash finds a subcommand and a flag by their first letters, and each command has a man page.
#[test]
fn completions_and_man_pages_are_written_where_shells_look_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let output = serin(folder.path()).args(["completions", "share"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let share = folder.path().join("share");
    for file in
        ["zsh/site-functions/_serin", "fish/vendor_completions.d/serin.fish", "man/man1/serin.1"]
    {
        let written = std::fs::read_to_string(share.join(file)).unwrap();
        assert!(written.contains("deploy"), "{file}: {written}");
    }
    let page = std::fs::read_to_string(share.join("man/man1/serin-deploy.1")).unwrap();
    assert!(page.contains("override\\-quarantine"), "{page}");
    for help in ["serin-help.1", "serin-help-deploy.1", "serin-config-help-show.1"] {
        assert!(!share.join("man/man1").join(help).exists(), "{help}: the page of a page");
    }
    let script = "source share/bash-completion/completions/serin
        COMP_WORDS=(serin dep) COMP_CWORD=1; _serin serin dep serin; echo ${COMPREPLY[@]}
        COMP_WORDS=(serin deploy --shad) COMP_CWORD=2; _serin serin --shad deploy; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").args(["-c", script]).current_dir(folder.path()).output();
    assert_eq!(text(&bash.unwrap().stdout), "deploy\n--shadow\n");
    let file = serin(folder.path()).args(["completions", "share/man/man1/serin.1"]).output();
    let refused = file.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("serin.1"), "{}", text(&refused.stderr));
}

/// Without `interactivecomments`, zsh runs a comment as a command and passes `# ...` on as arguments.
#[test]
fn the_commands_of_the_readme_can_be_pasted_into_zsh() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks: Vec<&str> =
        readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        assert!(!line.contains('#'), "a comment: {line}");
    }
}
