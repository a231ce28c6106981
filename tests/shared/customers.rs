//! Rows of customers, and models trained on them.

use super::ended::serin;

/// Customers whose age and plan decide, and a column of noise. The rows of a seed differ from another's.
pub fn customers(seed: usize, target: &str) -> String {
    let row = |i: usize| {
        let drawn = (i * 7_919 + seed * 104_729) % 1_000;
        let (age, plan) = (20 + drawn % 50, ["basic", "plus", "pro"][i % 3]);
        let odds = age * 10 + if plan == "pro" { 0 } else { 150 };
        let left = (i * 31 + seed * 17) % 700 + 100 < odds;
        format!("{age},{},{plan},{}\n", drawn % 17, if left { "yes" } else { "no" })
    };
    (0..600).map(row).fold(format!("age,noise,plan,{target}\n"), |text, row| text + &row)
}

/// A folder with two models, the second without the columns that decide, and rows neither has seen.
pub fn two_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed, drop) in [("good", 1, "noise"), ("poor", 2, "age")] {
        let data = format!("{name}.csv");
        std::fs::write(folder.path().join(&data), customers(seed, "left")).unwrap();
        let arguments = ["train", "--data", &data, "--target", "left", "--drop", drop];
        assert_eq!(serin(folder.path(), &arguments).code, 0);
    }
    std::fs::write(folder.path().join("rest.csv"), customers(3, "left")).unwrap();
    folder
}
