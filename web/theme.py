"""How the page looks: one theme in light and dark, with the colours of the figures."""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import fonts, sizes

CSS = "\n".join(
    (Path(__file__).parent / name).read_text(encoding="utf-8")
    for name in ("theme.css", "classify.css", "many.css")
)

# 600 is model.evaluation.style.BLUE.
BLUE = gr.themes.Color(
    name="cifarnet-blue",
    c50="#f1f6fb",
    c100="#deebf6",
    c200="#bfd7ec",
    c300="#93bbdf",
    c400="#6a9fd0",
    c500="#3f7cb3",
    c600="#2b6195",
    c700="#254f7a",
    c800="#224466",
    c900="#1e3850",
    c950="#142636",
)
# 50 is model.evaluation.style.PAPER, 800 close to its INK.
GREY = gr.themes.Color(
    name="cifarnet-grey",
    c50="#fcfcfa",
    c100="#f4f5f3",
    c200="#e5e8e9",
    c300="#cfd5d9",
    c400="#9aa4ac",
    c500="#6b7680",
    c600="#56616b",
    c700="#3a444d",
    c800="#252d35",
    c900="#1a2027",
    c950="#12171c",
)

# Gradio's variables; * takes up one of the theme's own.
VARIABLES = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "body_text_color": "*neutral_800",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_400",
    "background_fill_primary": "white",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_100",
    "background_fill_secondary_dark": "*neutral_800",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_700",
    "block_background_fill": "white",
    "block_background_fill_dark": "*neutral_900",
    "block_border_color": "*neutral_200",
    "block_border_color_dark": "*neutral_700",
    "block_shadow": "none",
    "block_radius": "*radius_xl",
    "container_radius": "*radius_xl",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_title_text_color": "*neutral_800",
    "block_title_text_color_dark": "*neutral_100",
    "block_title_text_weight": "600",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_400",
    "input_border_width": "1px",
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_900",
    "input_border_color": "*neutral_400",
    "input_border_color_dark": "*neutral_600",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_300",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_hover_dark": "*primary_500",
    "button_primary_text_color": "white",
    "button_secondary_background_fill": "*neutral_100",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_background_fill_hover": "*neutral_200",
    "button_secondary_background_fill_hover_dark": "*neutral_700",
    "button_large_text_weight": "600",
    "checkbox_label_background_fill": "white",
    "checkbox_label_background_fill_dark": "*neutral_900",
    "checkbox_label_background_fill_selected": "*primary_600",
    "checkbox_label_background_fill_selected_dark": "*primary_600",
    "checkbox_label_text_color_selected": "white",
    "checkbox_label_border_color": "*neutral_300",
    "checkbox_label_border_color_dark": "*neutral_600",
    "color_accent": "*primary_600",
    "link_text_color": "*primary_600",
    "link_text_color_dark": "*primary_300",
    "link_text_color_visited": "*primary_600",
    "link_text_color_visited_dark": "*primary_300",
    "link_text_color_hover": "*primary_800",
    "link_text_color_hover_dark": "*primary_200",
}


def theme() -> gr.themes.Base:
    """The theme; its fonts come with gradio, nothing is fetched from elsewhere.

    Bold stands for semi-bold too: that file of gradio's lacks letters.
    """
    base = gr.themes.Base(
        primary_hue=BLUE,
        secondary_hue=BLUE,
        neutral_hue=GREY,
        radius_size=sizes.radius_lg,
        font=(fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"),
        font_mono=(
            fonts.LocalFont("IBM Plex Mono", weights=(400, 700)),
            "ui-monospace",
            "monospace",
        ),
    )
    return base.set(**VARIABLES)
