# What `cmake --install` puts where; packaging/deb.cmake makes a Debian package of the same files.
include(GNUInstallDirs)

set(SLUICE_CONFIG_DIR /etc/sluice CACHE PATH "Where the installed agent looks for its files")
set(SLUICE_UNIT_DIR lib/systemd/system CACHE PATH "Where systemd looks for units")

# flume-ng is a second name of the binary, in the build folder as in the installation.
add_custom_command(TARGET sluice POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E create_symlink sluice $<TARGET_FILE_DIR:sluice>/flume-ng
  VERBATIM)

install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/flume-ng DESTINATION ${CMAKE_INSTALL_BINDIR})

install(DIRECTORY ${CMAKE_SOURCE_DIR}/conf/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/conf)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}
  FILES_MATCHING PATTERN "*.md")
foreach(file README.md CHANGELOG.md NOTICE LICENSE)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${file})
    install(FILES ${CMAKE_SOURCE_DIR}/${file} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()

install(FILES ${CMAKE_SOURCE_DIR}/systemd/sluice@.service DESTINATION ${SLUICE_UNIT_DIR})
install(FILES ${CMAKE_SOURCE_DIR}/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME sluice.conf)
install(FILES ${CMAKE_SOURCE_DIR}/systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME sluice.conf)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/man/sluice.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/man/flume-ng.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
foreach(name sluice flume-ng)
  install(FILES ${CMAKE_SOURCE_DIR}/packaging/bash-completion RENAME ${name}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
