# What `make install` brings beside the programs: man pages and completion, made by `pocketcdn` from its own tables,
# and systemd units.
set(man_pages ${CMAKE_BINARY_DIR}/man)
set(generated "")
foreach(page pocketcdn.1 pocketcdn-router.8 pocketcdn-edge.8 pocketcdn-origin.8 pocketcdn-wan.8)
  get_filename_component(program ${page} NAME_WE)
  add_custom_command(OUTPUT ${man_pages}/${page} DEPENDS pocketcdn VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory ${man_pages}
    COMMAND sh -c "\"$1\" help --man \"$2\" >\"$3\"" sh $<TARGET_FILE:pocketcdn> ${program} ${man_pages}/${page})
  list(APPEND generated ${man_pages}/${page})
  string(REGEX MATCH "[18]$" section ${page})
  install(FILES ${man_pages}/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
foreach(shell bash zsh)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/completion.${shell} DEPENDS pocketcdn VERBATIM
    COMMAND sh -c "\"$1\" help --completion \"$2\" >\"$3\"" sh $<TARGET_FILE:pocketcdn> ${shell}
      ${CMAKE_BINARY_DIR}/completion.${shell})
  list(APPEND generated ${CMAKE_BINARY_DIR}/completion.${shell})
endforeach()
add_custom_target(pages ALL DEPENDS ${generated})
install(FILES ${CMAKE_BINARY_DIR}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME pocketcdn)
install(FILES ${CMAKE_BINARY_DIR}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _pocketcdn)
foreach(unit pocketcdn-origin pocketcdn-edge@ pocketcdn-router pocketcdn-wan)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/systemd/${unit}.service.in ${CMAKE_BINARY_DIR}/systemd/${unit}.service @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/systemd/${unit}.service DESTINATION lib/systemd/system)
endforeach()
