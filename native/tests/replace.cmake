# A test, or a fault, replaces a function of the core by defining __wrap_NAME; __real_NAME is then the core's
# own. The linker does it, so that the core's sources know nothing of tests. Only calls from one source file
# to another can be replaced.
function(replace_functions target source)
    file(READ ${source} text)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    string(REGEX MATCHALL "__wrap_[a-z0-9_]+" replaced "${text}")
    list(REMOVE_DUPLICATES replaced)
    foreach(function ${replaced})
        string(REPLACE "__wrap_" "" function ${function})
        target_link_options(${target} PRIVATE -Wl,--wrap=${function})
    endforeach()
endfunction()
