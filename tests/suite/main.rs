//! The test suite: one binary, one module a subject.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod architecture;
mod atlas;
mod auto;
mod checks;
mod command_line;
mod corrections;
mod cublaslt_search;
mod cutout;
mod decode;
mod detail;
mod engine;
mod field;
mod floaters;
mod formats;
mod formats_options;
mod formats_read;
mod formats_save;
mod fuzz_mesh;
mod fuzz_photo;
mod fuzz_weights;
mod hierarchy;
mod hub_server;
mod isosurface;
mod isosurface_requests;
mod kernels;
mod kernels_emulator;
mod kernels_inflate;
mod kernels_isosurface;
mod kernels_latents;
mod kernels_matrix;
mod kernels_noise;
mod kernels_rows;
mod kernels_samples;
mod logging;
mod machine;
mod matte_composites;
mod measure;
mod models_hub;
mod normals;
mod operators;
mod pictures;
mod progress;
mod project;
mod queue;
mod random;
mod read_back;
mod reference_dinov2;
mod reference_triposg;
mod reference_triposr;
mod server;
mod server_client;
mod server_hostile;
mod server_hostile_forms;
mod server_hostile_wire;
mod server_keep;
mod server_kills;
mod server_limits;
mod server_load;
mod server_stop;
mod server_store;
mod shape_figures;
mod shapes;
mod simplify;
mod smooth;
mod solids;
mod store;
mod store_damage;
mod store_processes;
mod topology;
mod torch_file;
mod triposg_folder;
mod triposg_memory;
mod triposg_reference;
mod triposg_run;
mod triposg_shapes;
mod triposr_field;
mod triposr_folder;
mod triposr_reference;
mod triposr_run;
mod unwrap;
mod view_camera;
mod view_look;
mod view_mesh;
mod view_pictures;
mod vram_generation;
mod vram_monitor;
mod vram_plan;
mod vram_plan_properties;
mod vram_recommend;
mod vram_sensors;
mod weights;
mod window;
mod window_access;
mod window_contrast;
#[cfg(target_os = "linux")]
mod window_drop;
mod window_export;
mod window_jobs;
mod window_lost;
mod window_matte;
mod window_models;
mod window_settings;
mod window_sight;
mod window_sizes;
mod window_states;
mod window_triposg;
mod workplace;

/// Tells that a test lacks what it needs on this machine; under CI that fails it.
fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "this must run here: {why}"
    );
    println!("skipped: {why}");
}

/// Whether there is a graphics adapter to draw with; without one the test is skipped.
fn can_draw() -> bool {
    let is_there = !orfeas::view::adapters().is_empty();
    if !is_there {
        skip("there is no graphics adapter to draw with (install mesa-vulkan-drivers)");
    }
    is_there
}

/// The folder for pictures to look at, where one is named.
fn pictures_folder() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os(window_states::FOLDER).map(std::path::PathBuf::from);
    match &folder {
        Some(folder) => std::fs::create_dir_all(folder).expect("a folder for pictures"),
        None => println!("skipped: {} names no folder", window_states::FOLDER),
    }
    folder
}

/// The same work in pools of as many threads as given.
fn with_threads<T: Send, const N: usize>(
    threads: [usize; N],
    work: impl Fn() -> T + Send + Sync,
) -> [T; N] {
    threads.map(|count| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .expect("a pool of a few threads")
            .install(&work)
    })
}
