"""The power plant of a site: rectifiers, LFP pack, PV and the -48 V bus, as physics in arrays over sites."""
