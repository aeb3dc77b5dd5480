"""How the page looks: one theme in light and dark, with the colours of the figures."""

import gradio as gr
from gradio.themes.utils import fonts, sizes

from web.site import asset

CSS = "\n".join(map(asset, ("theme.css", "classify.css", "many.css", "teach.css")))


# From the lightest (50) to the darkest (950). Blue's 600 is model.evaluation.style.BLUE; grey's
# 50 is PAPER there, its 800 close to INK.
BLUE = gr.themes.Color(
    *("#f1f6fb", "#deebf6", "#bfd7ec", "#93bbdf", "#6a9fd0", "#3f7cb3", "#2b6195", "#254f7a"),
    *("#224466", "#1e3850", "#142636", "cifarnet-blue"),
)
GREY = gr.themes.Color(
    *("#fcfcfa", "#f4f5f3", "#e5e8e9", "#cfd5d9", "#9aa4ac", "#6b7680", "#56616b", "#3a444d"),
    *("#252d35", "#1a2027", "#12171c", "cifarnet-grey"),
)

# Gradio's variables in light and in dark, where its defaults are others; * takes up one of its own.
VARIABLES = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    "body_text_color_subdued": ("*neutral_600", "*neutral_400"),
    "background_fill_primary": ("white", "*neutral_900"),
    "background_fill_secondary": ("*neutral_100", "*neutral_800"),
    "block_background_fill": ("white", "*neutral_900"),
    "block_label_text_color": ("*neutral_600", "*neutral_300"),
    "block_title_text_color": ("*neutral_800", "*neutral_100"),
    "input_background_fill": ("white", "*neutral_900"),
    "input_border_color": ("*neutral_400", "*neutral_600"),
    "input_border_color_focus": ("*primary_600", "*primary_300"),
    "button_primary_background_fill": ("*primary_600", "*primary_600"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_500"),
    "button_secondary_background_fill": ("*neutral_100", "*neutral_800"),
    "button_secondary_background_fill_hover": ("*neutral_200", "*neutral_700"),
    "checkbox_label_background_fill": ("white", "*neutral_900"),
    "checkbox_label_background_fill_selected": ("*primary_600", "*primary_600"),
    "checkbox_label_border_color": ("*neutral_300", "*neutral_600"),
    "link_text_color": ("*primary_600", "*primary_300"),
    "link_text_color_visited": ("*primary_600", "*primary_300"),
    "link_text_color_hover": ("*primary_800", "*primary_200"),
}
IN_BOTH = {
    "block_radius": "*radius_xl",
    "container_radius": "*radius_xl",
    "block_title_text_weight": "600",
    "input_border_width": "1px",
    "checkbox_label_text_color_selected": "white",
    "color_accent": "*primary_600",
}


def theme() -> gr.themes.Base:
    """The theme; its fonts come with gradio, nothing is fetched from elsewhere.

    Bold stands for semi-bold too: that file of gradio's lacks letters.
    """

    def font(name: str) -> fonts.Font:
        return fonts.LocalFont(f"IBM Plex {name}", weights=(400, 700))

    base = gr.themes.Base(
        primary_hue=BLUE,
        secondary_hue=BLUE,
        neutral_hue=GREY,
        radius_size=sizes.radius_lg,
        font=(font("Sans"), "system-ui", "sans-serif"),
        font_mono=(font("Mono"), "ui-monospace", "monospace"),
    )
    light = {name: colours[0] for name, colours in VARIABLES.items()}
    dark = {f"{name}_dark": colours[1] for name, colours in VARIABLES.items()}
    return base.set(**IN_BOTH, **light, **dark)
