//! The pipelines: which shader draws what, with which blending and depth.

use std::mem::size_of;

use wgpu::CompareFunction::{Always, GreaterEqual, Less};
use wgpu::PrimitiveTopology::{LineList, TriangleList, TriangleStrip};

use super::prepared::{Paint, Vertex};

/// Colour of every target of our own: encoded, so that wide gradients keep their steps small.
pub(super) const COLOUR: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
/// Reversed depth: 1 near, 0 far.
pub(super) const DEPTH: wgpu::TextureFormat = wgpu::TextureFormat::Depth32Float;

const FRAME: &str = include_str!("../../shaders/frame.wgsl");
const COMPOSITE: &str = include_str!("../../shaders/composite.wgsl");

/// The shader modules as they are compiled: the name of the file, what comes before it, and itself.
pub const SHADERS: [(&str, &str, &str); 7] = [
    (
        "background",
        FRAME,
        include_str!("../../shaders/background.wgsl"),
    ),
    ("mesh", FRAME, include_str!("../../shaders/mesh.wgsl")),
    (
        "wireframe",
        FRAME,
        include_str!("../../shaders/wireframe.wgsl"),
    ),
    ("ground", FRAME, include_str!("../../shaders/ground.wgsl")),
    (
        "highlight",
        FRAME,
        include_str!("../../shaders/highlight.wgsl"),
    ),
    ("gizmo", FRAME, include_str!("../../shaders/gizmo.wgsl")),
    ("composite", "", COMPOSITE),
];

/// Colours are multiplied by their alpha.
const OVER: wgpu::BlendState = wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING;

pub(super) struct Layouts {
    pub(super) frame: wgpu::BindGroupLayout,
    pub(super) mesh: wgpu::BindGroupLayout,
    pub(super) composite: wgpu::BindGroupLayout,
}

pub(super) struct Pipelines {
    pub(super) background: wgpu::RenderPipeline,
    pub(super) plain: wgpu::RenderPipeline,
    pub(super) painted: wgpu::RenderPipeline,
    pub(super) wireframe: wgpu::RenderPipeline,
    pub(super) ground: wgpu::RenderPipeline,
    pub(super) highlight_seen: wgpu::RenderPipeline,
    pub(super) highlight_hidden: wgpu::RenderPipeline,
    pub(super) gizmo: wgpu::RenderPipeline,
    pub(super) composite: wgpu::RenderPipeline,
}

impl Layouts {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        use wgpu::ShaderStages as Stages;
        let layout = |label, entries: &[wgpu::BindGroupLayoutEntry]| {
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(label),
                entries,
            })
        };
        Self {
            frame: layout("frame", &[uniform(0, Stages::VERTEX_FRAGMENT)]),
            mesh: layout(
                "mesh",
                &[
                    uniform(0, Stages::VERTEX_FRAGMENT),
                    texture(1, true),
                    sampler(2),
                    texture(3, true),
                    sampler(4),
                ],
            ),
            composite: layout(
                "composite",
                &[
                    texture(0, false),
                    texture(1, false),
                    uniform(2, Stages::FRAGMENT),
                ],
            ),
        }
    }
}

fn uniform(binding: u32, visibility: wgpu::ShaderStages) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

fn texture(binding: u32, filterable: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        },
        count: None,
    }
}

fn sampler(binding: u32) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
        count: None,
    }
}

/// What sets one pipeline apart from another.
#[derive(Clone, Copy)]
struct Pass<'a> {
    label: &'a str,
    shader: &'a wgpu::ShaderModule,
    vertex: &'a str,
    fragment: &'a str,
    layout: &'a wgpu::PipelineLayout,
    buffers: &'a [Option<wgpu::VertexBufferLayout<'a>>],
    topology: wgpu::PrimitiveTopology,
    depth_write: bool,
    depth_compare: wgpu::CompareFunction,
    blend: Option<wgpu::BlendState>,
    format: wgpu::TextureFormat,
    /// 0 for a pass without a depth of its own.
    samples: u32,
}

impl Pass<'_> {
    fn build(&self, device: &wgpu::Device) -> wgpu::RenderPipeline {
        device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some(self.label),
            layout: Some(self.layout),
            vertex: wgpu::VertexState {
                module: self.shader,
                entry_point: Some(self.vertex),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: self.buffers,
            },
            primitive: wgpu::PrimitiveState {
                topology: self.topology,
                ..wgpu::PrimitiveState::default()
            },
            depth_stencil: (self.samples > 0).then(|| wgpu::DepthStencilState {
                format: DEPTH,
                depth_write_enabled: Some(self.depth_write),
                depth_compare: Some(self.depth_compare),
                stencil: wgpu::StencilState::default(),
                bias: wgpu::DepthBiasState::default(),
            }),
            multisample: wgpu::MultisampleState {
                count: self.samples.max(1),
                ..wgpu::MultisampleState::default()
            },
            fragment: Some(wgpu::FragmentState {
                module: self.shader,
                entry_point: Some(self.fragment),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(wgpu::ColorTargetState {
                    format: self.format,
                    blend: self.blend,
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }
}

const VERTEX: wgpu::VertexBufferLayout<'static> = wgpu::VertexBufferLayout {
    array_stride: size_of::<Vertex>() as u64,
    step_mode: wgpu::VertexStepMode::Vertex,
    attributes: &wgpu::vertex_attr_array![0 => Unorm16x4, 1 => Snorm16x2],
};
const PAINT: wgpu::VertexBufferLayout<'static> = wgpu::VertexBufferLayout {
    array_stride: size_of::<Paint>() as u64,
    step_mode: wgpu::VertexStepMode::Vertex,
    attributes: &wgpu::vertex_attr_array![2 => Unorm16x2, 3 => Unorm8x4],
};
const PLACE: wgpu::VertexBufferLayout<'static> = wgpu::VertexBufferLayout {
    array_stride: size_of::<Vertex>() as u64,
    step_mode: wgpu::VertexStepMode::Vertex,
    attributes: &wgpu::vertex_attr_array![0 => Unorm16x4],
};
const SEGMENT: wgpu::VertexBufferLayout<'static> = wgpu::VertexBufferLayout {
    array_stride: 24,
    step_mode: wgpu::VertexStepMode::Instance,
    attributes: &wgpu::vertex_attr_array![0 => Float32x3, 1 => Float32x3],
};

/// Compiled shaders and layouts: what pipelines are made of.
struct Ingredients {
    background: wgpu::ShaderModule,
    mesh: wgpu::ShaderModule,
    wireframe: wgpu::ShaderModule,
    ground: wgpu::ShaderModule,
    highlight: wgpu::ShaderModule,
    gizmo: wgpu::ShaderModule,
    composite: wgpu::ShaderModule,
    of_frame: wgpu::PipelineLayout,
    of_mesh: wgpu::PipelineLayout,
    of_composite: wgpu::PipelineLayout,
    samples: u32,
}

impl Ingredients {
    fn new(device: &wgpu::Device, layouts: &Layouts, samples: u32) -> Self {
        let modules = SHADERS.map(|(name, before, source)| {
            device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(format!("{before}\n{source}").into()),
            })
        });
        let [
            background,
            mesh,
            wireframe,
            ground,
            highlight,
            gizmo,
            composite,
        ] = modules;
        let layout = |label, groups: &[Option<&wgpu::BindGroupLayout>]| {
            device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(label),
                bind_group_layouts: groups,
                immediate_size: 0,
            })
        };
        Self {
            background,
            mesh,
            wireframe,
            ground,
            highlight,
            gizmo,
            composite,
            of_frame: layout("frame", &[Some(&layouts.frame)]),
            of_mesh: layout("frame, mesh", &[Some(&layouts.frame), Some(&layouts.mesh)]),
            of_composite: layout("composite", &[Some(&layouts.composite)]),
            samples,
        }
    }

    /// The backdrop: the whole picture, behind everything.
    fn background(&self) -> Pass<'_> {
        Pass {
            label: "background",
            shader: &self.background,
            vertex: "vs_main",
            fragment: "fs_main",
            layout: &self.of_frame,
            buffers: &[],
            topology: TriangleList,
            depth_write: false,
            depth_compare: Always,
            blend: None,
            format: COLOUR,
            samples: self.samples,
        }
    }

    fn plain(&self) -> Pass<'_> {
        Pass {
            label: "plain mesh",
            shader: &self.mesh,
            vertex: "vs_plain",
            layout: &self.of_mesh,
            buffers: &[Some(VERTEX)],
            depth_write: true,
            depth_compare: GreaterEqual,
            ..self.background()
        }
    }

    fn painted(&self) -> Pass<'_> {
        Pass {
            label: "painted mesh",
            vertex: "vs_painted",
            buffers: &[Some(VERTEX), Some(PAINT)],
            ..self.plain()
        }
    }

    fn wireframe(&self) -> Pass<'_> {
        Pass {
            label: "wireframe",
            shader: &self.wireframe,
            vertex: "vs_main",
            buffers: &[Some(PLACE)],
            topology: LineList,
            depth_write: false,
            blend: Some(OVER),
            ..self.plain()
        }
    }

    fn ground(&self) -> Pass<'_> {
        Pass {
            label: "ground",
            shader: &self.ground,
            layout: &self.of_mesh,
            topology: TriangleStrip,
            depth_compare: GreaterEqual,
            blend: Some(OVER),
            ..self.background()
        }
    }

    fn highlight_seen(&self) -> Pass<'_> {
        Pass {
            label: "highlighted edges, seen",
            shader: &self.highlight,
            fragment: "fs_seen",
            buffers: &[Some(SEGMENT)],
            topology: TriangleStrip,
            depth_compare: GreaterEqual,
            blend: Some(OVER),
            ..self.background()
        }
    }

    fn highlight_hidden(&self) -> Pass<'_> {
        Pass {
            label: "highlighted edges, hidden",
            fragment: "fs_hidden",
            depth_compare: Less,
            ..self.highlight_seen()
        }
    }

    fn gizmo(&self) -> Pass<'_> {
        Pass {
            label: "axes",
            shader: &self.gizmo,
            topology: TriangleStrip,
            blend: Some(OVER),
            ..self.background()
        }
    }

    /// Into someone else's pass, without depth.
    fn composite(&self, output: wgpu::TextureFormat) -> Pass<'_> {
        Pass {
            label: "composite",
            shader: &self.composite,
            fragment: if output.is_srgb() {
                "fs_linear"
            } else {
                "fs_encoded"
            },
            layout: &self.of_composite,
            blend: Some(OVER),
            format: output,
            samples: 0,
            ..self.background()
        }
    }
}

impl Pipelines {
    pub(super) fn new(
        device: &wgpu::Device,
        layouts: &Layouts,
        samples: u32,
        output: wgpu::TextureFormat,
    ) -> Self {
        let made_of = Ingredients::new(device, layouts, samples);
        Self {
            background: made_of.background().build(device),
            plain: made_of.plain().build(device),
            painted: made_of.painted().build(device),
            wireframe: made_of.wireframe().build(device),
            ground: made_of.ground().build(device),
            highlight_seen: made_of.highlight_seen().build(device),
            highlight_hidden: made_of.highlight_hidden().build(device),
            gizmo: made_of.gizmo().build(device),
            composite: made_of.composite(output).build(device),
        }
    }
}
