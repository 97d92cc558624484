# Stands for oe-core's: the variant of a recipe that runs on the builder.
CLASSOVERRIDE = "class-native"
PACKAGES = ""
python native_virtclass_handler() {
    d.setVar("PN", d.getVar("BPN") + "-native")
    d.setVar("DEPENDS", " ".join(word if word.endswith("-native") else word + "-native" for word in d.getVar("DEPENDS").split()))
}
addhandler native_virtclass_handler
native_virtclass_handler[eventmask] = "bb.event.RecipePreFinalise"
